"""Fixtures for all tests; each finds a machine without downloaded weights, whatever lies in the cache."""

import os
import signal
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.browser"]

# A shell's background job ignores SIGINT, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def no_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "HSPLAT_WEIGHTS", str(tmp_path_factory.mktemp("machine") / "weights"))
        yield
