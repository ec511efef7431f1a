"""Who can reach what listens: this machine alone, unless it is asked for otherwise."""

import inspect

import psutil
import pytest

from pipeline import cli, viewing
from pipeline.batch.scheduling import own_scheduler


def _listening() -> set[str]:
    sockets = psutil.Process().net_connections(kind="tcp")
    return {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}


def test_the_viewer_listens_on_this_machine_alone() -> None:
    pytest.importorskip("viser")
    default = inspect.signature(cli.view).parameters["host"].default
    before = _listening()
    server = viewing.listen(default, 0, "test")
    try:
        assert _listening() - before <= {"127.0.0.1"}
        assert "127.0.0.1" in _listening()
    finally:
        server.stop()


def test_a_batchs_own_scheduler_listens_nowhere() -> None:
    before = _listening()
    assert own_scheduler(1)
    assert _listening() == before
