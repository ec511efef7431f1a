"""Whole batches of the fake chain in processes of their own."""

import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.pipeline.conftest import Call
from tests.pipeline.fakes import FAKES

STAGES = [stage.name for stage in FAKES]
Start = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.timeout(1800)  # a busy machine is slow, not wrong


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "clips"
    place.mkdir()
    return place


def fill(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"the clip " + os.fsencode(name))


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def runs(tmp_path: Path) -> list[str]:
    lines = (tmp_path / "notes").read_text().splitlines()
    return [line.removeprefix("clip ") for line in lines if line.startswith("clip ")]


def wait_for(tmp_path: Path, text: str) -> None:
    notes = tmp_path / "notes"
    for _ in range(9600):
        if notes.exists() and text in notes.read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"{text!r} never came")


def test_bad_clips_do_not_stop_the_others_and_the_next_call_goes_on(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    fill(folder, "a.mp4", "b.mp4", "b.MOV", "flaky.mp4", "bad.mp4", "deep/b.mp4", "notes.txt", ".hidden.mp4")
    (folder / "empty.mp4").touch()
    misfortunes = "bad.hsplat poses fails;flaky.hsplat masks fails-once"
    arguments = ("batch", "clips", "--workers", 2, "--recursive", "--retry", 1)
    status, out, err = ended(start(*arguments, FAKE_CLIPS=misfortunes))
    assert status == 1
    assert "7 clips: 5 done, 2 failed" in out, err
    assert "bad.mp4    poses  bad.hsplat is no good" in out
    assert "empty.mp4  -" in out
    assert "batch clips --workers 2 --recursive --retry 1" in out
    assert "Traceback" not in out + err
    for name in ("a.hsplat", "b.hsplat", "b.mp4.hsplat", "flaky.hsplat", "deep/b.hsplat"):
        assert (folder / name / "export" / "result.txt").is_file()
    expected = [f"{name} {stage}" for name in ("a.hsplat", "b.mp4.hsplat") for stage in STAGES]
    ran = runs(tmp_path)
    assert [ran.count(each) for each in expected] == [1] * len(expected)
    assert ran.count("flaky.hsplat masks") == ran.count("bad.hsplat poses") == 2

    with (folder / "summary.csv").open(newline="") as stream:
        rows = {row["clip"]: row for row in csv.DictReader(stream)}
    assert rows["bad.mp4"]["result"] == "failed"
    assert rows["bad.mp4"]["stage"] == "poses"
    assert rows["flaky.mp4"]["result"] == "done"
    assert not (folder / "flaky.hsplat" / "failure.json").exists()

    (tmp_path / "notes").unlink()
    fill(folder, "new.mp4", "empty.mp4")
    status, out, err = ended(start(*arguments))
    assert status == 0
    assert "8 clips: 8 done (5 of them before), 0 failed" in out
    ran = runs(tmp_path)
    assert sorted({each.split()[0] for each in ran}) == ["bad.hsplat", "empty.hsplat", "new.hsplat"]
    assert len(ran) == len(STAGES) * 3 - 2  # frames and detect of bad.mp4 were whole


def test_names_that_are_no_text_or_harm_a_terminal(
    start: Start, call: Call, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "b\x1b[31m\n.mp4"
    fill(folder, "a\udcff.mp4", "a\udcff.mov", odd, "c.mp4", "deep\udcff/d.mp4", "deep\udcff/d.mov")
    arguments = ("batch", "clips", "--workers", 1, "--until", "frames", "--recursive")
    status, out, err = ended(start(*arguments))
    assert status == 1
    assert "6 clips: 2 done, 4 failed" in out, err
    reason = rf"The path '{folder}/a\udcff.mp4' is not valid UTF-8. Rename it."
    assert rf"a\udcff.mp4       -      {reason}" in out
    assert r"b\u001b[31m\n.mp4: frames: done" in err
    assert "\x1b" not in out + err
    with (folder / "summary.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["clip"]: row for row in csv.DictReader(stream)}
    assert [rows[name]["result"] for name in (r"a\udcff.mp4", r"b\u001b[31m\n.mp4")] == ["failed", "done"]
    assert rows[r"a\udcff.mp4"]["reason"] == reason
    page = (folder / "index.html").read_text("utf-8")
    assert r"deep\udcff/d.mov" in page
    assert "\x1b" not in page

    assert call("status", folder) == 0
    text = capsys.readouterr().out
    assert r"a\udcff.mov" in text
    assert "\x1b" not in text
    assert call("status", folder, "--json") == 0
    videos = {clip["video"] for clip in json.loads(capsys.readouterr().out)["clips"]}
    assert {str(folder / odd), str(folder / "a\udcff.mp4")} < videos


def test_one_optimisation_at_a_time_on_one_gpu_while_other_stages_go_on(
    start: Start, folder: Path, tmp_path: Path
) -> None:
    fill(folder, "a.mp4", "b.mp4")
    awaiting = "a.hsplat optimize awaits b.hsplat masks;b.hsplat optimize awaits a.hsplat masks"
    process = start(
        "batch", "clips", "--workers", 2, FAKE_RENDERER="gsplat", FAKE_CLIPS=awaiting, FAKE_SLEEP="0.3"
    )
    status, out, err = ended(process)
    assert status == 0, out + err
    lines = (tmp_path / "notes").read_text().splitlines()
    order = [line for line in lines if line.endswith(" optimize") and line.startswith(("clip", "past"))]
    assert [line.split()[0] for line in order] == ["clip", "past"] * 2
    first = lines.index(order[0])
    other = "b.hsplat" if "a.hsplat" in order[0] else "a.hsplat"
    assert lines.index(f"clip {other} masks") < lines.index(order[1])
    assert first < lines.index(order[1])


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stop_ends_all_workers_and_the_call_goes_on(
    start: Start, folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    fill(folder, "a.mp4", "b.mp4")
    process = start("batch", "clips", "--workers", 2, FAKE_HANG="optimize")
    wait_for(tmp_path, "hangs optimize")
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    status, _, err = ended(process)
    assert status == 128 + number
    assert "Stopped; what is finished stays." in err
    assert "Go on with: " in err
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(children, timeout=120)
    assert not alive
    before = runs(tmp_path)
    assert ended(start("batch", "clips", "--workers", 1))[0] == 0
    again = runs(tmp_path)[len(before) :]
    assert not set(again) & {each for each in before if not each.endswith("optimize")}


def test_a_clip_that_kills_its_process_is_given_up(start: Start, folder: Path, tmp_path: Path) -> None:
    fill(folder, "a.mp4", "b.mp4")
    process = start("batch", "clips", "--workers", 1, FAKE_CLIPS="a.hsplat detect kills")
    status, out, _ = ended(process)
    assert status == 1
    assert "2 clips: 1 done, 1 failed" in out
    assert "The process that worked on it ended: SIGKILL." in out
    assert runs(tmp_path).count("a.hsplat detect") == 2
    assert (folder / "b.hsplat" / "export" / "result.txt").is_file()


def test_workers_end_with_a_killed_parent(start: Start, folder: Path, tmp_path: Path) -> None:
    fill(folder, "a.mp4")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = start("batch", "clips", FAKE_HANG="optimize", TMPDIR=str(scratch))
    wait_for(tmp_path, "hangs optimize")
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=120)
    assert not alive
    assert list(scratch.iterdir()) == []
