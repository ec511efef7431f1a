"""Several machines at one folder: three calls in processes of their own, and a real luigid."""

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from models.errors import InputError
from pipeline.batch.scheduling import check_scheduler, remote_scheduler
from tests.pipeline.batch.luigid import Luigid
from tests.pipeline.batch.test_batch import STAGES, ended, fill, wait_for

Start = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.timeout(1800)  # a busy machine is slow, not wrong


@pytest.fixture
def luigid(tmp_path: Path) -> Iterator[Luigid]:
    pytest.importorskip("tornado")
    place = tmp_path / "luigid"
    place.mkdir()
    server = Luigid(place)
    server.start()
    yield server
    server.stop()


def messages(scheduler: Any) -> str:
    """What luigid's page says of the running tasks."""
    running = scheduler.task_list(status="RUNNING", upstream_status="")
    told = [scheduler.get_task_status_message(task)["statusMessage"] for task in running]
    return f"{[task['display_name'] for task in running.values()]} {told}"


def test_a_lost_machine_and_a_restarted_scheduler_lose_nothing(
    start: Start, tmp_path: Path, luigid: Luigid
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    names = [f"c{number:02}" for number in range(12)]
    fill(folder, *(f"{name}.mp4" for name in names))
    arguments = ("batch", "clips", "--workers", 1, "--scheduler", luigid.address)
    misfortune = {"FAKE_CLIPS": "c04.hsplat optimize awaits the end", "FAKE_SLEEP": "0.05"}
    machines = [start(*arguments, **misfortune) for _ in range(3)]

    wait_for(tmp_path, "pid c04.hsplat optimize ")
    scheduler = remote_scheduler(luigid.address)
    for _ in range(9600):
        if "do optimize (numba)" in messages(scheduler) and "c04.hsplat" in messages(scheduler):
            break
        time.sleep(0.05)
    else:
        pytest.fail(f"luigid knows only of {messages(scheduler)}")

    lines = (tmp_path / "notes").read_text().splitlines()
    worker = next(int(line.split()[-1]) for line in lines if line.startswith("pid c04.hsplat optimize "))
    [lost] = [machine for machine in machines if machine.pid == psutil.Process(worker).ppid()]
    lost.send_signal(signal.SIGKILL)  # the machine is gone, its worker with it
    lost.communicate()
    luigid.stop()
    with (tmp_path / "notes").open("a") as notes:
        notes.write("clip the end\n")  # whoever takes the clip next is not held up
    luigid.start()

    machines.remove(lost)
    for machine in machines:
        status, out, err = ended(machine)
        assert status == 0, err
        assert "12 clips: 12 done, 0 failed" in out

    notes = (tmp_path / "notes").read_text()
    whole = Counter(line.removeprefix("whole ") for line in notes.splitlines() if line.startswith("whole "))
    assert whole == {f"{name}.hsplat {stage}": 1 for name in names for stage in STAGES}
    assert notes.count("clip c04.hsplat optimize\n") == 2
    left = [path for path in folder.rglob(".*") if path.is_dir() and path.name != ".hsplat"]
    assert left == []


def test_addresses_that_are_no_schedulers() -> None:
    with pytest.raises(InputError, match="is not the address of a scheduler"):
        check_scheduler("localhost:8082")


def test_nobody_at_the_address(start: Start, tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4")
    status, _, err = ended(start("batch", tmp_path, "--scheduler", "http://127.0.0.1:9"))
    assert status == 2
    assert "The scheduler http://127.0.0.1:9 does not answer." in err
    assert not (tmp_path / "a.hsplat").exists()
