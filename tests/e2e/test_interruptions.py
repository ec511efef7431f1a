"""Runs that are killed, stopped, doubled or without room: nothing is lost, and the next one goes on."""

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.conftest import CLIP, OPTIONS, Ended, Start

LONG = ("--set", "optimize.joint_steps=3000")
DONE_BEFORE = {"frames", "detect", "poses", "masks", "depth"}
CHECKPOINTS = ".optimize.scratch/*/checkpoint.pt"


def wait_for_checkpoint(workspace: Path, process: subprocess.Popen[str], count: int = 1) -> Path:
    """The latest of `count` checkpoints, as soon as they have been written one after the other."""
    seen: set[int] = set()
    for _ in range(6000):
        for path in workspace.glob(CHECKPOINTS):
            with suppress(FileNotFoundError):  # one is just replacing another
                seen.add(path.stat().st_mtime_ns)
            if len(seen) >= count:
                return path
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    pytest.fail("no checkpoint ever came")


def published(workspace: Path) -> set[str]:
    return {path.parent.name for path in workspace.glob("*/manifest.json")}


def contents(workspace: Path) -> dict[Path, bytes]:
    """Every published file."""
    paths = (
        path for name in published(workspace) for path in (workspace / name).rglob("*") if path.is_file()
    )
    return {path: path.read_bytes() for path in paths}


def first_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Fills with the steps that optimize reports from now on."""
    steps: list[int] = []

    def record(self: object, step: object, done: int, total: int, note: str = "") -> None:
        if step.stage.name == "optimize":  # type: ignore[attr-defined]
            steps.append(done)

    monkeypatch.setattr("pipeline.console.Lines.progress", record)
    return steps


@pytest.mark.slow
def test_a_killed_optimisation_resumes_to_the_same_bits(
    half_done: Path, tmp_path: Path, start: Start, call: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (*OPTIONS, "--set", "optimize.joint_steps=500", "--until", "optimize")
    undisturbed = shutil.copytree(half_done, tmp_path / "undisturbed.hsplat")
    _, said = (whole := start("run", CLIP, "--workspace", undisturbed, *options)).communicate(timeout=250)
    assert whole.returncode == 0, said

    process = start("run", CLIP, "--workspace", half_done, *options)
    wait_for_checkpoint(
        half_done, process, count=3
    )  # after alignment, after silhouettes, amid the joint phase
    process.kill()
    process.communicate()
    assert list(half_done.glob(CHECKPOINTS))
    assert published(half_done) == DONE_BEFORE

    steps = first_steps(monkeypatch)
    ended = call("run", CLIP, "--workspace", half_done, *options)
    assert ended.status == 0
    assert steps[0] > 100, "it began anew"
    assert "optimize: finds the checkpoint" in "".join(
        log.read_text() for log in (half_done / "logs").iterdir()
    )
    for name in ("avatar.npz", "motion.npz"):
        assert (half_done / "optimize" / name).read_bytes() == (undisturbed / "optimize" / name).read_bytes()
    assert not list(half_done.glob(".*"))


def test_a_run_at_work_refuses_another_and_stops_on_ctrl_c(
    half_done: Path, start: Start, call: Callable[..., Ended]
) -> None:
    before = contents(half_done)
    process = start("run", CLIP, "--workspace", half_done, *OPTIONS, *LONG)
    checkpoint = wait_for_checkpoint(half_done, process)

    ended = call("run", CLIP, "--workspace", half_done, *OPTIONS)
    assert ended.status == 2
    assert f"in use by process {process.pid}" in ended.err
    assert "Wait until it has ended" in ended.err
    assert call("status", half_done).out.endswith(f"process {process.pid} on {os.uname().nodename}.\n")
    assert process.poll() is None

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    stopped, resume = said.splitlines()[-2:]
    assert stopped == "Stopped; what is finished stays."
    assert resume.startswith("Go on with: ")
    assert f" run {CLIP} --workspace" in resume
    assert "Traceback" not in said
    assert contents(half_done) == before
    assert checkpoint.exists()
    assert not list(half_done.glob(".*.partial"))


def test_a_workspace_of_another_video_is_refused(
    half_done: Path, tmp_path: Path, call: Callable[..., Ended]
) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(CLIP.read_bytes() + bytes(8))
    before = contents(half_done)
    ended = call("run", other, "--workspace", half_done, *OPTIONS)
    assert ended.status == 2
    assert f"{half_done} belongs to another video, {CLIP}" in ended.err
    assert "--workspace other-2.hsplat" in ended.err
    assert contents(half_done) == before


@pytest.mark.parametrize("damage", ["", "{", '{"stage": "depth"}', "\0" * 500])
def test_a_damaged_manifest_costs_only_its_stage(
    half_done: Path, call: Callable[..., Ended], damage: str
) -> None:
    (half_done / "depth" / "manifest.json").write_text(damage)
    ended = call("run", CLIP, "--workspace", half_done, *OPTIONS, "--until", "depth")
    assert ended.status == 0
    assert "depth is done anew: manifest.json is damaged\n" in ended.err
    assert "up to date: frames, detect, poses, masks\n" in ended.err
    assert published(half_done) == DONE_BEFORE


def limit_files(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize(
    ("limit", "status", "words"),
    [
        (1000, 2, "cannot be written: File too large"),
        pytest.param(60_000, 1, "is full", marks=pytest.mark.slow),
    ],
)
def test_a_limit_on_files_is_told_and_mended(
    half_done: Path, start: Start, limit: int, status: int, words: str
) -> None:
    before = contents(half_done)
    options = ("run", CLIP, "--workspace", half_done, *OPTIONS)
    process = start(*options, preexec_fn=limit_files(limit))
    _, said = process.communicate(timeout=100)
    assert process.returncode == status
    assert said.count("Error: ") == 1
    assert f"{half_done} " in said or f"{half_done}." in said
    assert words in said
    assert "Traceback" not in said
    assert ("Go on with: " in said) == (status == 1)
    assert contents(half_done) == before


@pytest.fixture
def tiny(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of the size that the test asks for."""
    place = tmp_path / "tiny"
    place.mkdir()
    call = ["mount", "-t", "tmpfs", "-o", request.param, "none", str(place)]
    if (
        os.geteuid()
        or shutil.which("mount") is None
        or subprocess.run(call, stderr=subprocess.DEVNULL).returncode
    ):
        pytest.skip("may not mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize(
    ("tiny", "status", "words", "done"),
    [
        ("ro", 2, "cannot be written: Read-only file system", set()),
        ("size=8k", 2, "cannot be written: No space left on device", set()),
        ("size=200k", 1, "No room left on the disk of", set()),
        pytest.param("size=900k", 1, "disk", {"frames"}, marks=pytest.mark.slow),
    ],
    indirect=["tiny"],
)
def test_a_full_or_read_only_disk_is_told_and_mended(
    tiny: Path, call: Callable[..., Ended], status: int, words: str, done: set[str]
) -> None:
    options = ("run", CLIP, "--workspace", tiny / "w", *OPTIONS)
    ended = call(*options)
    assert ended.status == status
    assert ended.err.count("Error: ") == 1
    assert words in ended.err
    assert str(tiny / "w") in ended.err
    assert done <= published(tiny / "w") < DONE_BEFORE | {"optimize"}
    if status == 1:
        assert "Go on with: " in ended.err
        subprocess.run(["mount", "-o", "remount,size=50m", str(tiny)], check=True)
        assert call(*options, "--until", "frames").status == 0
