"""Stops by SIGINT and SIGTERM: clean, and not lost where a library swallows the exception.

Python raises them wherever it happens to be. From within foreign code that called back into Python none can
get out: it is dropped, and what follows, an error or a result cut short, is not what it seems. Where a
compiled module sets itself up it even ends the process (torch: "terminate called"), so stops wait until
an import is done.
"""

import _thread
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM came; everything that ends cleanly on Ctrl-C ends cleanly on this."""


IMPORT_CHECK = 0.02  # seconds between looks whether an import is done that a stop waits for

_asked: list[type[KeyboardInterrupt]] = []  # for a stop, in the `stoppable` block that runs


@contextmanager
def stoppable() -> Iterator[None]:
    """In a program's main thread: SIGINT raises KeyboardInterrupt, SIGTERM Terminated.

    Amid an import both come when it is done. SIGINT stays ignored where it is. A block that fails after a
    signal ends with the signal's exception.
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
    if not _imports(frame):
        raise _asked[-1]
    # No threading.Thread: it takes locks, which the interrupted code may hold.
    _thread.start_new_thread(_send_again, (number, _thread.get_ident()))


def _imports(frame: FrameType | None) -> bool:
    """Whether the code that a signal interrupted is part of an import."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _send_again(number: int, thread: int) -> None:
    time.sleep(IMPORT_CHECK)
    if _asked:  # else the block has ended, and nothing would hear it
        signal.pthread_kill(thread, number)
