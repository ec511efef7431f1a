"""Whole runs of the fake chain through the command line: what is done again, and what failures leave."""

import errno
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import workspace
from tests.pipeline import fakes
from tests.pipeline.conftest import Call

ALL = ["frames", "detect", "poses", "masks", "optimize", "export"]
Ran = Callable[[], list[str]]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "clip.hsplat"


def results(folder: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in folder.glob("*/result.txt")}


def log_lines(folder: Path) -> list[dict[str, Any]]:
    (log,) = (folder / "logs").iterdir()
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


def test_a_second_identical_run_does_nothing(call: Call, video: Path, ran: Ran, folder: Path) -> None:
    assert call("run", video) == 0
    assert ran() == ALL
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/*") if path.parent.name in ALL}
    assert call("run", video) == 0
    assert ran() == []
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("options", "again"),
    [
        (["--set", "optimize.steps=6"], ["optimize", "export"]),
        (["--set", "export.title=x"], ["export"]),
        (["--set", "poses.weights.colour=2"], ["poses", "optimize", "export"]),
        (["--person", "2"], ["detect", "poses", "masks", "optimize", "export"]),
        (["--focal", "900"], ALL),
        (["--preset", "fast"], ["optimize", "export"]),
        (["--set", "optimize.steps=5"], []),
    ],
)
def test_a_changed_key_reruns_who_reads_it_and_what_follows(
    call: Call, video: Path, ran: Ran, options: list[str], again: list[str]
) -> None:
    call("run", video)
    ran()
    assert call("run", video, *options) == 0
    assert ran() == again


def test_a_users_file_counts_by_content(call: Call, video: Path, ran: Ran, tmp_path: Path) -> None:
    poses = tmp_path / "poses.npz"
    poses.write_text("one")
    call("run", video, "--poses", poses)
    ran()
    moved = poses.rename(tmp_path / "moved.npz")
    call("run", video, "--poses", moved)
    assert ran() == []
    moved.write_text("two!")
    call("run", video, "--poses", moved)
    assert ran() == ["poses", "optimize", "export"]


def test_a_raised_version_reruns(call: Call, video: Path, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    call("run", video)
    ran()
    table = [fakes.row(each.name, each.needs, each.settings) for each in fakes.FAKES]
    object.__setattr__(table[3], "version", 2)
    monkeypatch.setattr("stages.STAGES", tuple(table))
    call("run", video)
    assert ran() == ["masks", "optimize", "export"]


def test_until_and_going_on(call: Call, video: Path, ran: Ran, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", video, "--until", "poses") == 0
    assert ran() == ALL[:3]
    assert "poses/result.txt" in capsys.readouterr().out
    assert call("run", video) == 0
    assert ran() == ALL[3:]


def test_redo_with_everything_downstream(call: Call, video: Path, ran: Ran) -> None:
    call("run", video)
    ran()
    assert call("run", video, "--redo", "masks") == 0
    assert ran() == ["masks", "optimize", "export"]


@pytest.mark.parametrize("option", ["--until", "--redo"])
def test_an_unknown_stage_is_refused(
    call: Call, video: Path, option: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", video, option, "mask") == 2
    assert "did you mean 'masks'?" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize(("kind", "status"), [("input", 2), ("stage", 1), ("bug", 1)])
def test_a_failure_keeps_what_is_finished_and_the_next_run_goes_on(
    call: Call,
    video: Path,
    ran: Ran,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    status: int,
) -> None:
    monkeypatch.setenv("FAKE_FAIL", "poses")
    monkeypatch.setenv("FAKE_KIND", kind)
    assert call("run", video, "--redo=frames") == status
    said = capsys.readouterr().err
    assert said.count("poses cannot do it") == 1
    assert "Traceback" not in said
    assert ("Go on with: " in said) == (status == 1)
    assert "--redo" not in said
    assert ran() == ["frames", "detect", "poses"]
    assert sorted(results(folder)) == ["detect", "frames"]
    log = next((folder / "logs").iterdir()).read_text()
    assert "Traceback" in log
    assert "poses cannot do it" in log
    monkeypatch.delenv("FAKE_FAIL")
    assert call("run", video) == 0
    assert ran() == ["poses", "masks", "optimize", "export"]


def test_debug_shows_the_traceback(
    call: Call, video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAKE_FAIL", "poses")
    monkeypatch.setenv("FAKE_KIND", "bug")
    assert call("run", video, "--debug") == 1
    assert "ValueError: poses cannot do it" in capsys.readouterr().err


def test_a_failed_redo_keeps_the_old_files(
    call: Call, video: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("run", video)
    before = results(folder)
    monkeypatch.setenv("FAKE_FAIL", "poses")
    monkeypatch.setenv("FAKE_KIND", "stage")
    assert call("run", video, "--set", "poses.height=1.8") == 1
    assert results(folder) == before


@pytest.mark.parametrize("name", ["manifest.json", "result.txt"])
def test_a_damaged_stage_is_done_anew_with_a_notice(
    call: Call, video: Path, ran: Ran, folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    call("run", video)
    before = results(folder)
    ran()
    (folder / "masks" / name).write_text("{")
    assert call("run", video) == 0
    assert ran() == ["masks"]
    assert f"masks is done anew: {'masks/' if name == 'result.txt' else ''}{name}" in capsys.readouterr().err
    assert results(folder) == before


def wait_for(notes: Path, text: str) -> None:
    for _ in range(6000):
        if notes.exists() and text in notes.read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"{text!r} never came")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_leaves_whole_stages_and_resumes(
    call: Call, start: Start, video: Path, folder: Path, tmp_path: Path, ran: Ran, number: signal.Signals
) -> None:
    call("run", video)
    whole = results(folder)
    ran()
    process = start("run", video, "--set", "optimize.steps=9", FAKE_HANG="optimize")
    wait_for(tmp_path / "notes", "hangs optimize")
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert results(folder) == whole
    if number != signal.SIGKILL:
        assert "Go on with: " in said
        assert "Traceback" not in said
        assert not (folder / ".optimize.partial").exists()
    ran()
    assert call("run", video, "--set", "optimize.steps=9") == 0
    assert results(folder)["export"] == whole["export"].replace("'steps': 5", "'steps': 9")
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("then", ["fails", "ends"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_a_library_swallows_is_none_the_less_one(
    call: Call, start: Start, video: Path, folder: Path, number: signal.Signals, then: str
) -> None:
    process = start("run", video, FAKE_CLIPS=f"clip.hsplat poses swallows {number.value} {then}")
    _, said = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert "Go on with: " in said
    assert "Error" not in said
    assert sorted(results(folder)) == ["detect", "frames"]
    assert call("run", video) == 0


def test_a_killed_stage_goes_on_from_its_checkpoint(
    call: Call, start: Start, video: Path, tmp_path: Path
) -> None:
    process = start("run", video, FAKE_HANG="optimize")
    wait_for(tmp_path / "notes", "hangs optimize")
    process.kill()
    process.communicate()
    (tmp_path / "notes").unlink()
    assert call("run", video) == 0
    assert "from 5" in (tmp_path / "notes").read_text()


def test_redo_forgets_checkpoints(call: Call, start: Start, video: Path, tmp_path: Path) -> None:
    process = start("run", video, FAKE_HANG="optimize")
    wait_for(tmp_path / "notes", "hangs optimize")
    process.kill()
    process.communicate()
    (tmp_path / "notes").unlink()
    assert call("run", video, "--redo", "optimize") == 0
    assert "from 0" in (tmp_path / "notes").read_text()


def test_a_second_run_is_refused_by_process_and_loses_nothing(
    call: Call, start: Start, video: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("run", video, FAKE_HANG="masks")
    wait_for(tmp_path / "notes", "hangs masks")
    assert call("status", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["running"]["pid"] == process.pid
    assert call("run", video) == 2
    assert f"in use by process {process.pid}" in capsys.readouterr().err
    assert (folder / ".masks.partial" / "half").exists()
    process.kill()
    process.communicate()
    assert call("run", video) == 0


def test_status_of_a_workspace_with_a_pipe_is_refused(
    call: Call, video: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", video) == 0
    os.mkfifo(folder / "logs" / "pipe")
    assert call("status", folder) == 2
    assert "logs/pipe is a symbolic link, or no file at all" in capsys.readouterr().err


def test_another_videos_workspace_is_refused(
    call: Call, video: Path, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("run", video)
    before = results(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "clip.mp4").write_text("another clip of the same name")
    assert call("run", elsewhere / "clip.mp4") == 2
    assert "belongs to another video" in capsys.readouterr().err
    assert results(folder) == before


def test_a_moved_video_is_still_the_same(call: Call, video: Path, ran: Ran, tmp_path: Path) -> None:
    call("run", video)
    ran()
    moved = video.rename(tmp_path / "renamed.mp4")
    assert call("run", moved, "--workspace", "clip.hsplat") == 0
    assert ran() == []


def test_spaces_and_umlauts(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "Mein Ordner ä"
    folder.mkdir()
    video = folder / "Übung früh.mp4"
    video.write_text("clip")
    assert call("run", video, "--workspace", folder / "Ergebnis ß") == 0
    assert "Mein Ordner ä/Ergebnis ß/export/result.txt" in capsys.readouterr().out
    assert call("status", folder / "Ergebnis ß") == 0
    assert call("run", video) == 0
    assert (tmp_path / "Übung früh.hsplat" / "export").is_dir()


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("none.mp4", "No such file"), ("", "is a folder"), ("empty.mp4", "is empty")],
)
def test_a_video_that_cannot_be_one_is_refused_before_anything_is_made(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, complaint: str
) -> None:
    (tmp_path / "empty.mp4").touch()
    assert call("run", tmp_path / name, "--workspace", "w") == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_would_never_end_is_not_read(
    call: Call, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None]
) -> None:
    endless = tmp_path / "endless"
    make(endless)
    assert call("run", endless) == 2
    assert "endless is not a regular file" in capsys.readouterr().err
    assert not (tmp_path / "endless.hsplat").exists()
    assert call("run", video, "--poses", endless) == 2
    assert "endless (poses.file) is neither a file nor a folder" in capsys.readouterr().err


def test_a_name_too_long(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", "x" * 300) == 2
    assert "cannot be read: File name too long" in capsys.readouterr().err


def test_a_workspaces_name_too_long(call: Call, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", video, "--workspace", "x" * 300) == 2
    assert "cannot be written: File name too long" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["run", "\udcff.mp4"], ["run", "clip.mp4", "--workspace", "\udcff"], ["status", "\udcff"]]
)
def test_names_that_are_no_utf8(
    call: Call, video: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert call(*arguments) == 2
    assert "is not valid UTF-8" in capsys.readouterr().err


def test_homes(
    call: Call,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.yaml").write_text("optimize: {steps: 2}")
    options = ("--workspace", "~/w", "--config", "~/mine.yaml", "--poses", "~/clip.mp4")
    assert call("run", "~/clip.mp4", *options) == 0
    assert (tmp_path / "w" / "export").is_dir()
    for options in (("~nobody-here/a.mp4",), (video, "--workspace", "~nobody-here/w")):
        capsys.readouterr()
        assert call("run", *options) == 2
        assert "there is no such home folder" in capsys.readouterr().err


def test_a_missing_file_of_the_users_is_refused(
    call: Call, video: Path, ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", video, "--poses", "none.npz") == 2
    assert "none.npz (poses.file) cannot be read" in capsys.readouterr().err
    assert ran() == []


def test_an_engine_that_is_not_to_be_had_is_told_before_any_work(
    call: Call, video: Path, ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", video, "--device", "cuda") == 2
    assert "no CUDA device" in capsys.readouterr().err
    assert ran() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_place_is_refused(
    call: Call, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o555)
    assert call("run", video, "--workspace", place / "w") == 2
    assert "cannot be written: Permission denied" in capsys.readouterr().err


def test_a_read_only_file_system_is_refused(
    call: Call, video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("pipeline.workspace.Lock.__enter__", refuse)
    assert call("run", video) == 2
    assert "clip.hsplat cannot be written: Read-only file system" in capsys.readouterr().err


def test_a_disk_that_fills_up_in_a_stage_is_told_and_mended(
    call: Call,
    video: Path,
    ran: Ran,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = workspace.listed

    def full(partial: Path) -> object:
        if partial.name == ".masks.partial":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(partial)

    monkeypatch.setattr("pipeline.chain.listed", full)
    assert call("run", video) == 1
    said = capsys.readouterr().err
    assert f"The disk of {folder} is full." in said
    assert "Go on with" in said
    monkeypatch.undo()


def test_a_limit_on_the_size_of_files_is_told(start: Start, video: Path, folder: Path) -> None:
    process = start("run", video)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100, 100))
    _, said = process.communicate(timeout=300)
    assert process.returncode in (1, 2)
    assert "Traceback" not in said
    assert "cannot be written" in said or "is full" in said
    again = start("run", video)
    again.communicate(timeout=300)
    assert again.returncode == 0
    assert sorted(results(folder)) == sorted(ALL)


def test_exhausted_memory_is_told(
    call: Call, video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhausted(partial: Path) -> object:
        raise MemoryError

    monkeypatch.setattr("pipeline.chain.listed", exhausted)
    assert call("run", video) == 1
    assert "memory is exhausted" in capsys.readouterr().err


def test_a_wrong_option_is_a_wrong_call(call: Call, video: Path) -> None:
    assert call("run", video, "--nope") == 2
    assert call("run") == 2
    assert call("run", video, "--focal", "wide") == 2


def test_the_log_has_versions_machine_settings_and_times(call: Call, video: Path, folder: Path) -> None:
    call("run", video)
    lines = log_lines(folder)
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    said = {line["message"]: line for line in lines}
    assert said["call"]["call"][1:] == ["run", str(video)]
    assert said["machine"]["cores"] > 0
    assert {"python", "torch"} <= said["versions"]["versions"].keys()
    assert said["configuration"]["configuration"]["optimize"]["steps"] == 5
    assert said["optimize: missing"]["state"] == "missing"
    assert said["optimize: done"]["seconds"] >= 0
    assert said["optimize: done"]["stage"] == "optimize"
    assert any("StageTask" in line["message"] for line in lines)  # and Luigi says nothing on the console


def test_debug_logs_more_but_not_other_libraries_noise(call: Call, video: Path, folder: Path) -> None:
    call("run", video, "--debug")
    debug = [line for line in log_lines(folder) if line["level"] == "DEBUG"]
    assert "optimize: 5 of 5 " in [line["message"] for line in debug]
    assert {line["logger"].partition(".")[0] for line in debug} <= {"pipeline", "luigi", "luigi-interface"}


def test_a_traceback_is_one_line_and_credentials_stay_out(
    call: Call, video: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "tell-tale-token")
    monkeypatch.setenv("FAKE_FAIL", "poses")
    monkeypatch.setenv("FAKE_KIND", "bug")
    title = "export.title=see http://anna:tell-tale@password@host/page"
    assert call("run", video, "--set", title) == 1
    failure = next(line for line in log_lines(folder) if line["message"] == "failed")
    assert failure["traceback"].endswith("ValueError: poses cannot do it")
    text = next((folder / "logs").iterdir()).read_text()
    assert "http://***@host/page" in text
    assert "tell-tale" not in text


def test_the_console_stays_quiet_about_luigi(
    call: Call, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("run", video)
    said = capsys.readouterr()
    assert "luigi" not in (said.out + said.err).lower()
    assert "frames: do frames (embedded)" in said.err
    assert said.out.split() == ["clip.hsplat/export/result.txt", "what", "export", "found"]
