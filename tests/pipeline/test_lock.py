"""One run at a time in a workspace."""

import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import InputError
from pipeline.lock import InUse, Lock, holder

HOLD = (
    "import sys, time, pathlib; from pipeline.lock import Lock; Lock(pathlib.Path(sys.argv[1])).__enter__(); "
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def held_by_another(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD + "print('held', flush=True); time.sleep(60)", str(path)],
        cwd=Path(__file__).parent.parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    return process


def test_a_held_lock_is_refused_by_process(path: Path) -> None:
    with held_by_another(path) as process:
        assert (holder(path) or {})["pid"] == process.pid
        with pytest.raises(InUse) as error, Lock(path):
            pass
        assert error.value.exit_status == 2
        assert re.fullmatch(
            rf"{path.parent} is in use by process {process.pid} on {socket.gethostname()}, "
            r"started \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.",
            error.value.problem,
        )
        process.kill()


def test_a_dead_processs_lock_is_taken_over(path: Path) -> None:
    with held_by_another(path) as process:
        process.send_signal(signal.SIGKILL)
    assert path.stat().st_size
    assert holder(path) is None
    with Lock(path):
        assert (holder(path) or {})["pid"] == os.getpid()


def test_leaving_frees_it(path: Path) -> None:
    with Lock(path):
        pass
    assert holder(path) is None
    with Lock(path):
        pass


@pytest.mark.parametrize("text", ["", "garbage", "[3]", '{"pid": 1, "host": "elsewhere"}' * 5])
def test_whatever_text_an_old_lock_holds_it_is_free(path: Path, text: str) -> None:
    path.write_text(text)
    assert holder(path) is None
    with Lock(path):
        assert (holder(path) or {})["pid"] == os.getpid()


def test_a_lock_that_names_a_living_process_but_is_not_held_is_taken_over(path: Path) -> None:
    path.write_text(json.dumps({"pid": os.getppid(), "host": socket.gethostname(), "started": "now"}))
    with Lock(path):
        assert (holder(path) or {})["pid"] == os.getpid()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InputError, match="has no locks") as error, Lock(path):
        pass
    assert "NFS 4" in error.value.next_step
    assert holder(path) is None


def test_no_lock_has_no_holder(path: Path) -> None:
    assert holder(path) is None
