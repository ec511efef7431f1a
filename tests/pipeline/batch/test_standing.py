"""`status` of a folder, and the notes of failures."""

import json
from pathlib import Path

import pytest

from models.errors import StageError
from pipeline.batch import failures
from pipeline.batch.failures import Failure
from pipeline.workspace import Workspace
from tests.pipeline.conftest import Call


def test_status_of_a_folder(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c", "new"):
        (tmp_path / "clips" / name).mkdir(parents=True)
        (tmp_path / "clips" / name / "x.mp4").write_text(name)
    place = tmp_path / "clips"
    assert call("run", place / "a" / "x.mp4", "--workspace", place / "a" / "x.hsplat") == 0
    assert (
        call("run", place / "b" / "x.mp4", "--workspace", place / "b" / "x.hsplat", "--until", "poses") == 0
    )
    monkeypatch.setenv("FAKE_FAIL", "masks")
    monkeypatch.setenv("FAKE_KIND", "stage")
    assert call("run", place / "c" / "x.mp4", "--workspace", place / "c" / "x.hsplat") == 1
    failures.write(Workspace(place / "c" / "x.hsplat"), Failure.of(StageError("too dark"), "masks"))
    capsys.readouterr()
    assert call("status", place, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["states"] == {"done": 1, "not complete": 1, "failed": 1, "not begun": 1}
    assert call("status", "clips") == 0
    text = capsys.readouterr().out
    assert "b/x.hsplat  not complete  to do: masks, optimize, export" in text
    assert "c/x.hsplat  failed        masks: too dark" in text
    assert "4 clips: 1 done, 1 not complete, 1 failed, 1 not begun" in text


def test_one_clip_is_no_clips(call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_text("a")
    assert call("status", tmp_path) == 0
    assert "1 clip: 1 not begun" in capsys.readouterr().out


def test_an_empty_folder_is_no_workspace(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("status", tmp_path) == 2
    assert "is not a workspace" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{", '{"stage": 1}', '{"problem": "x", "stage": "y", "more": 1}'])
def test_a_broken_note_is_no_failure(tmp_path: Path, text: str) -> None:
    failures.path_of(tmp_path).write_text(text)
    assert failures.read(tmp_path) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none"], "is not a folder"),
        [["clips/a.mp4"], "is not a folder"],
        [["clips", "--output", "clips/a.mp4"], "is not a folder"],
        [["clips", "--output", "clips/a.mp4/deep/er"], "clips/a.mp4 is not a folder"],
        [["clips", "--shard", "3/2"], "--shard '3/2'"],
        [["clips", "--until", "mask"], "did you mean 'masks'?"],
        [["clips", "--set", "nothing.x=1"], "there is no such key"],
        [["clips", "--set", "frames.video=clips/a.mp4"], "--set frames.video would change nothing"],
        [["clips", "--set", "frames={video: a}"], "--set frames.video would change nothing"],
        [["clips", "--set", "frames=video"], "frames (--set) is a section"],
        [["clips", "--device", "cuda"], "There is no CUDA device."],
        *(
            [["clips", "--scheduler", address], f"{address} is not the address of a scheduler"]
            for address in ("host:8082", "http://[::1", "http://127.0.0.1:abc", "http://127.0.0.1:99999")
        ),
        [["clips", "--pattern", "*.avi"], "There are no videos in"],
    ],
)
def test_a_call_that_cannot_be_meant(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_text("a")
    assert call("batch", *arguments) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["a.mp4"]
