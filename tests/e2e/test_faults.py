"""The real chain, killed and stopped at random moments in every stage: it ends with the same bits."""

import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

import stages
from pipeline.workspace import Manifest, Workspace
from tests.e2e.conftest import CLIP, OPTIONS, Ended, Start

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TOLD_OF_TIME = {"report.html", "metrics.json"}  # they say how long the stages took
ROUNDS = 15  # for each stage
STOPPED_WITHIN = 6.0  # seconds; alone on a machine it takes a third of that


def wait_until(process: subprocess.Popen[str], happened: Callable[[], bool]) -> bool:
    """Whether something happened before the process ended."""
    while not happened():
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    return True


def has_begun(workspace: Path, process: int, stage: str) -> bool:
    return any(f"{stage}: started" in log.read_text() for log in workspace.glob(f"logs/*-{process}.log"))


def hashes(workspace: Path, stage: str) -> dict[str, str]:
    outputs = Workspace(workspace).manifest(stage, verify=True).outputs
    return {name: output.sha256 for name, output in outputs.items() if name not in TOLD_OF_TIME}


def spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def stop(process: subprocess.Popen[str], number: signal.Signals) -> tuple[float, str]:
    """Sends a signal; seconds until the end, and what was said.

    The less of clock and processor: the one says too much on a busy machine, the other with several threads.
    """
    watched, worked = psutil.Process(process.pid), 0.0
    before, began = spent(watched), time.monotonic()
    process.send_signal(number)
    while process.poll() is None:
        try:
            worked = max(worked, spent(watched) - before)
        except psutil.Error:
            break
        time.sleep(0.01)
    return min(worked, time.monotonic() - began), process.communicate()[1]


@pytest.mark.slow
def test_ctrl_c_amid_detection_ends_it_soon_and_it_goes_on(
    half_done: Path, start: Start, call: Callable[..., Ended]
) -> None:
    whole = hashes(half_done, "detect")
    shutil.rmtree(half_done / "detect")
    process = start("run", CLIP, "--workspace", half_done, *OPTIONS, "--until", "detect", "--debug")

    def at_work() -> bool:
        logs = (half_done / "logs").iterdir()
        return any(re.search(r"detect: [1-9]\d* of ", log.read_text()) for log in logs)

    assert wait_until(process, at_work), process.communicate()
    seconds, said = stop(process, signal.SIGINT)
    assert process.returncode == 130
    assert said.splitlines()[-2:][0] == "Stopped; what is finished stays."
    assert "Go on with: " in said and "Traceback" not in said
    assert seconds < STOPPED_WITHIN
    assert not list(half_done.glob(".*.partial"))
    assert call("run", CLIP, "--workspace", half_done, *OPTIONS, "--until", "detect").status == 0
    assert hashes(half_done, "detect") == whole


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_killed_again_and_again_in_every_stage_ends_with_the_same_bits(
    tmp_path: Path, start: Start
) -> None:
    options, dice = (*OPTIONS, "--set", "optimize.joint_steps=500"), random.Random(0)
    undisturbed, folder = tmp_path / "undisturbed.hsplat", tmp_path / "clip.hsplat"
    whole = start("run", CLIP, "--workspace", undisturbed, *options)
    assert whole.wait() == 0, whole.communicate()
    names = [stage.name for stage in stages.STAGES]
    expected: dict[str, Manifest] = {name: Workspace(undisturbed).manifest(name) for name in names}

    for name in names:
        longest = 0.0
        for number in dice.choices(SIGNALS, k=ROUNDS):
            shutil.rmtree(folder / name, ignore_errors=True)  # where the last round came too late
            process = start("run", CLIP, "--workspace", folder, *options, "--until", name)
            if wait_until(process, partial(has_begun, folder, process.pid, name)):
                time.sleep(dice.random() * expected[name].seconds)
            seconds, said = stop(process, number)
            assert process.returncode in (0, -number, 128 + number), said
            assert "Traceback" not in said
            if process.returncode == 128 + number:
                assert "Go on with: " in said
                assert seconds < STOPPED_WITHIN
                longest = max(longest, seconds)
            for published in folder.glob("[!.]*/manifest.json"):
                assert hashes(folder, published.parent.name) == hashes(undisturbed, published.parent.name)
        print(f"{name}: stopped in {longest:.2f} s at most")

    last = start("run", CLIP, "--workspace", folder, *options)
    assert last.wait() == 0, last.communicate()
    assert {name: hashes(folder, name) for name in names} == {
        name: hashes(undisturbed, name) for name in names
    }
    assert not list(folder.glob(".*"))
