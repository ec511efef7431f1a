"""Stops by SIGINT and SIGTERM: clean, and not lost where a library swallows the exception.

Python raises them wherever it happens to be. From within foreign code that called back into Python none can
get out: it is dropped, and what follows, an error or a result cut short, is not what it seems.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM came; everything that ends cleanly on Ctrl-C ends cleanly on this."""


_asked: list[type[KeyboardInterrupt]] = []  # for a stop, in the `stoppable` block that runs


@contextmanager
def stoppable() -> Iterator[None]:
    """In a program's main thread: SIGINT raises KeyboardInterrupt, SIGTERM Terminated.

    SIGINT stays ignored where it is. A block that fails after a signal ends with the signal's exception.
    """
    heard = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        heard.append(signal.SIGINT)
    before = {number: signal.signal(number, _stop) for number in heard}
    try:
        yield
    except Exception:
        check_stop()
        raise
    finally:
        _asked.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def check_stop() -> None:
    """Raises again what a signal has raised, if anything dropped it."""
    if _asked:
        raise _asked[-1]


@contextmanager
def believed() -> Iterator[None]:
    """A block whose results and errors count only if no stop was dropped in it."""
    try:
        yield
    except Exception:
        check_stop()
        raise
    check_stop()


def _stop(number: int, frame: FrameType | None) -> None:
    _asked.append(Terminated if number == signal.SIGTERM else KeyboardInterrupt)
    raise _asked[-1]
