"""The other commands, and the command line as a whole."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from pipeline import cli, doctor
from tests.pipeline.conftest import ROOT, Call


def test_status_tells_each_stage_and_why(
    call: Call, video: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    call("run", video)
    call("run", video, "--until", "detect", "--set", "optimize.steps=8")
    (tmp_path / "clip.hsplat" / "masks" / "result.txt").unlink()
    (tmp_path / "clip.hsplat" / "poses" / "manifest.json").unlink()
    capsys.readouterr()
    assert call("status", "clip.hsplat", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["video"] == str(video)
    assert (facts["running"], facts["complete"]) == (None, False)
    assert {stage["stage"]: (stage["state"], stage["reason"]) for stage in facts["stages"]} == {
        "frames": ("done", ""),
        "detect": ("done", ""),
        "poses": ("missing", ""),
        "masks": ("damaged", "masks/result.txt cannot be read (No such file or directory)"),
        "optimize": ("out of date", "optimize.steps changed"),
        "export": ("out of date", "optimize changed"),
    }
    assert facts["stages"][0]["seconds"] >= 0
    assert facts["stages"][0]["peak_memory"] > 2**20
    assert call("status", "clip.hsplat") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:4]] == [["frames", "done"], ["detect", "done"]]
    assert lines[6].endswith("optimize.steps changed")


def test_status_of_a_finished_workspace(call: Call, video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call("run", video)
    capsys.readouterr()
    call("status", "clip.hsplat", "--json")
    assert json.loads(capsys.readouterr().out)["complete"]


@pytest.mark.parametrize("harm", [None, "nonsense", '{"format": 1}'])
def test_status_of_what_is_no_workspace(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: str | None
) -> None:
    (tmp_path / "w").mkdir()
    if harm:
        (tmp_path / "w" / "workspace.json").write_text(harm)
    assert call("status", "w") == 2
    assert ("damaged" if harm else "is not a workspace") in capsys.readouterr().err


@pytest.mark.parametrize("name", ["file", "none", "x" * 300])
def test_status_of_what_is_no_folder(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "file").write_text("mine")
    assert call("status", name) == 2
    assert "is not a workspace" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["run", "clip.mp4"], ["status", "w"], ["doctor"]])
def test_a_current_folder_that_is_gone(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert call(*arguments) == 2
    assert capsys.readouterr().err == (
        "Error: The current folder has been deleted.\nChange into another one.\n"
    )


def test_status_after_the_schema_changed(
    call: Call, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("run", video)
    record = tmp_path / "clip.hsplat" / "workspace.json"
    record.write_text(record.read_text().replace('"steps"', '"stages_of_old"'))
    assert call("status", "clip.hsplat") == 2
    assert "another version wrote it" in capsys.readouterr().err
    assert call("run", video) == 0


def test_status_writes_nothing(call: Call, video: Path, tmp_path: Path) -> None:
    call("run", video)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    call("status", "clip.hsplat")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def found(*states: str) -> None:
        made = [
            doctor.Check(f"thing {n}", state, "seen", "mend it" * (state != "ok"))
            for n, state in enumerate(states)
        ]
        monkeypatch.setattr(cli, "examine", lambda folder: made)

    return found


@pytest.mark.parametrize(("states", "status"), [(("ok", "absent"), 0), (("ok", "absent", "missing"), 1)])
def test_doctor_fails_only_for_what_is_needed(
    call: Call,
    checks: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    states: tuple[str, ...],
    status: int,
) -> None:
    checks(*states)
    assert call("doctor") == status
    assert "mend it with: mend it" in capsys.readouterr().out
    assert call("doctor", "--json") == status
    assert [check["state"] for check in json.loads(capsys.readouterr().out)] == list(states)


@pytest.mark.parametrize("command", ["run", "batch", "evaluate", "export"])
def test_bodies_have_the_same_names_everywhere(
    call: Call, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert call(command, "--help") == 0
    words = [word for word in capsys.readouterr().out.split() if word.isascii()]
    assert "neutral, male or female" in " ".join(words)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["status", "--help"], ["doctor", "--help"]]
)
def test_help(call: Call, arguments: list[str]) -> None:
    assert call(*arguments) == 0


def test_a_bug_outside_the_stages_is_one_message_too(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(workspace: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(cli, "describe", broken)
    assert call("status", "w") == 1
    assert capsys.readouterr().err == "Error: ZeroDivisionError: division by zero\n--debug shows where.\n"


def test_nothing_heavy_is_loaded_before_there_is_work() -> None:
    heavy = {"torch", "mediapipe", "numba", "scipy", "transformers", "ultralytics", "matplotlib"}
    code = "import sys, pipeline.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "resumed"),
    [
        (["run", "my clip.mp4"], "hsplat-pipeline run 'my clip.mp4'"),
        (["run", "a.mp4", "--redo", "masks", "--focal", "9"], "hsplat-pipeline run a.mp4 --focal 9"),
        (["run", "--redo=masks", "a.mp4"], "hsplat-pipeline run a.mp4"),
    ],
)
def test_the_call_to_go_on_with(monkeypatch: pytest.MonkeyPatch, arguments: list[str], resumed: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert cli.resume_call(["somewhere/hsplat-pipeline", *arguments]) == resumed


@pytest.mark.parametrize(
    ("script", "on_path", "typed"),
    [
        ("project/.venv/bin/hsplat-pipeline", {"hsplat-pipeline", "uv"}, "hsplat-pipeline"),
        ("project/.venv/bin/hsplat-pipeline", {"uv"}, "uv run hsplat-pipeline"),
        ("project/.venv/bin/hsplat-pipeline", set(), ".venv/bin/hsplat-pipeline"),
        ("other/bin/hsplat-pipeline", {"uv"}, "../other/bin/hsplat-pipeline"),
    ],
)
def test_the_program_is_named_as_it_can_be_typed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, on_path: set[str], typed: str
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / script).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / script).touch(mode=0o755)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(shutil, "which", lambda name: name if name in on_path else None)
    assert cli.resume_call([str(tmp_path / script), "run", "a.mp4"]) == f"{typed} run a.mp4"


def test_a_module_is_named_as_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / "__main__.py").touch(mode=0o644)
    assert cli.resume_call([str(tmp_path / "__main__.py"), "run"]) == f"{sys.executable} -m pipeline run"


@pytest.mark.parametrize(("resumable", "said"), [(True, "Go on with: "), (False, "Stopped.\n")])
def test_only_what_can_go_on_says_so(capsys: pytest.CaptureFixture[str], resumable: bool, said: str) -> None:
    with pytest.raises(typer.Exit), cli._failures_told(False, resumable):
        raise KeyboardInterrupt
    assert said in capsys.readouterr().err
