"""The command `evaluate` on a small finished workspace."""

import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from pipeline import evaluation
from pipeline.__main__ import main
from pipeline.workspace import Workspace, write_json
from stages.evaluate import NEEDS
from tests.pipeline.finished import finished_workspace
from tests.stages.evaluate.conftest import (  # noqa: F401
    FRAMES,
    MakeTruth,
    avatar,
    body,
    folders,
    inputs,
    make_truth,
    motion,
    pictured,
    true_arrays,
)
from tests.stages.export.conftest import Inputs


@pytest.fixture
def workspace(folders: Inputs, tmp_path: Path) -> Workspace:  # noqa: F811
    """Published as a run would have left it."""
    return finished_workspace(Workspace(tmp_path / "clip.hsplat"), folders, NEEDS)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["hsplat-pipeline", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    return run


def test_tables_and_json(
    call: Callable[..., int],
    workspace: Workspace,
    pictured: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("evaluate", workspace.folder, "--truth", pictured) == 0
    said = capsys.readouterr().out
    facts = json.loads((workspace.folder / "evaluate.json").read_text())
    root = facts["motion"]["before"]["mean"]["root_error"]
    line = next(line for line in said.splitlines() if "root error" in line)
    assert line.split()[3:] == [f"{root:.1f}", "0.0", "-100", "%"]
    assert "left ankle" in said
    assert f"{FRAMES} of {FRAMES} frames, matched by frame number; 1 of them without an estimate" in said
    psnr = facts["pictures"]["novel_view"]["psnr_crop"]
    assert f"{psnr:.2f}" in next(line for line in said.splitlines() if "crop PSNR" in line)
    assert "LPIPS: not computed" in said or "AlexNet" in said


def test_tables_fit_a_narrow_terminal(workspace: Workspace, pictured: Path) -> None:  # noqa: F811
    facts = evaluation.evaluate_workspace(workspace, pictured)
    screen = io.StringIO()
    Console(width=80, file=screen).print(evaluation.as_tables(facts))
    said = screen.getvalue()
    assert "…" not in said
    assert "interpolated" in said


def test_the_json_goes_where_it_is_asked_to(
    call: Callable[..., int],
    workspace: Workspace,
    make_truth: MakeTruth,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("evaluate", workspace.folder, "--truth", make_truth(), "--json", "found.json") == 0
    assert json.loads((tmp_path / "found.json").read_text())["frames"]["kept"] == FRAMES
    assert not (workspace.folder / "evaluate.json").exists()
    said = capsys.readouterr().out
    assert "novel view: not computed: there is no" in said
    assert call("evaluate", workspace.folder, "--truth", make_truth(), "--json", "no/such/folder.json") == 2
    assert "no/such/folder.json cannot be written: No such file" in capsys.readouterr().err
    published = workspace.stage_folder("poses") / "manifest.json"
    assert call("evaluate", workspace.folder, "--truth", make_truth(), "--json", published) == 2
    assert "is the run's own folder" in capsys.readouterr().err
    workspace.manifest("poses")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda place: (place.stage_folder("optimize") / "manifest.json").unlink(), "optimize is missing"),
        (lambda place: (place.stage_folder("masks") / "masks.npz").unlink(), "is damaged: masks/masks.npz"),
        (lambda place: _renew(place, "poses"), "optimize is older than poses"),
        (lambda place: place.record_path.write_text("{}"), "workspace.json is damaged"),
        (lambda place: shutil.rmtree(place.stage_folder("frames")), "frames is missing"),
        (lambda place: shutil.rmtree(place.folder), "clip.hsplat is not a workspace"),
    ],
)
def test_a_workspace_that_has_not_finished(
    call: Callable[..., int],
    workspace: Workspace,
    make_truth: MakeTruth,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[Workspace], None],
    message: str,
) -> None:
    harm(workspace)
    assert call("evaluate", workspace.folder, "--truth", make_truth()) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def _renew(place: Workspace, stage: str) -> None:
    manifest = place.manifest(stage).model_copy(update={"fingerprint": "another print"})
    write_json(place.stage_folder(stage) / "manifest.json", manifest)


def test_a_truth_that_is_none(
    call: Callable[..., int], workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("evaluate", workspace.folder, "--truth", "none.npz") == 2
    assert "none.npz cannot be read: No such file" in capsys.readouterr().err
