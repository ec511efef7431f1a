import importlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.stopping import IMPORT_CHECK, Terminated, stoppable

SIGNALS = {signal.SIGTERM: Terminated, signal.SIGINT: KeyboardInterrupt}
MODULE = """
import signal
signal.raise_signal({number:d})
for _ in range(1000):  # where Python would raise what the signal's handler does
    pass
{end}
"""


@pytest.fixture
def signalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Imports a module that gets a signal while it is imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def run(number: int, end: str = "whole = True") -> ModuleType:
        (tmp_path / "signalled.py").write_text(MODULE.format(number=number, end=end))
        return importlib.import_module("signalled")

    yield run
    sys.modules.pop("signalled", None)


def wait_for_stop() -> None:
    time.sleep(10)
    pytest.fail("no stop came")


@pytest.mark.parametrize(("number", "expected"), SIGNALS.items())
def test_a_stop_comes_at_once(number: int, expected: type[KeyboardInterrupt]) -> None:
    with pytest.raises(KeyboardInterrupt) as stop, stoppable():
        signal.raise_signal(number)
        wait_for_stop()
    assert stop.type is expected


@pytest.mark.parametrize(("number", "expected"), SIGNALS.items())
def test_a_stop_waits_until_an_import_is_done(
    number: int, expected: type[KeyboardInterrupt], signalled: Callable[..., ModuleType]
) -> None:
    with pytest.raises(KeyboardInterrupt) as stop, stoppable():
        signalled(number)
        wait_for_stop()
    assert stop.type is expected
    assert sys.modules["signalled"].whole


def test_an_import_that_fails_after_a_stop_is_a_stop(signalled: Callable[..., ModuleType]) -> None:
    with pytest.raises(Terminated), stoppable():
        signalled(signal.SIGTERM, "raise ImportError('half of it is missing')")


def test_a_stop_that_waited_is_not_sent_after_the_block(signalled: Callable[..., ModuleType]) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with suppress(Terminated), stoppable():
            signalled(signal.SIGTERM)
        time.sleep(5 * IMPORT_CHECK)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not heard
