"""The command `export` on a small finished workspace."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.avatar import Avatar
from models.body import Motion
from models.errors import InputError
from models.formats import read_ply
from pipeline.__main__ import main
from pipeline.exporting import Selection, export_workspace
from pipeline.workspace import Workspace, write_json
from stages.base import silent
from stages.export.content import NEEDS
from stages.export.formats import FORMATS
from stages.images import read_grey
from tests.pipeline.finished import finished_workspace
from tests.stages.export.conftest import FRAMES, Inputs, avatar, body, inputs, motion  # noqa: F401

Call = Callable[..., int]


@pytest.fixture
def workspace(inputs: Inputs, tmp_path: Path) -> Workspace:  # noqa: F811
    return finished_workspace(Workspace(tmp_path / "clip.hsplat"), inputs, NEEDS)


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> Call:
    """`hsplat-pipeline export` of the workspace; gives the exit status."""
    monkeypatch.chdir(workspace.folder.parent)

    def run(*arguments: object) -> int:
        call = ["hsplat-pipeline", "export", workspace.folder, *arguments]
        monkeypatch.setattr(sys, "argv", [str(argument) for argument in call])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    return run


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_format(export: Call, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("--format", "all") == 0
    folder = workspace.folder / "exported"
    assert names(folder) == sorted({one.file for one in FORMATS.values()} - {"avatar.png"} | {"avatar_png"})
    said = capsys.readouterr().out.splitlines()
    assert said[0].split("  ")[0].strip() == "clip.hsplat/exported/avatar.ply"
    assert len(said) == len(FORMATS)


def test_formats_with_commas_and_again_with_force(
    export: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export("--format", "spz, bvh", "--format", "SPLAT", "--output", "out") == 0
    assert names(tmp_path / "out") == ["avatar.splat", "avatar.spz", "motion.bvh"]
    (tmp_path / "out" / "avatar.splat").write_text("mine")
    assert export("--format", "amass,splat", "--output", "out") == 2
    assert "out/avatar.splat exists already.\nGive --force" in capsys.readouterr().err
    assert (tmp_path / "out" / "avatar.splat").read_text() == "mine"
    assert "motion_amass.npz" not in names(tmp_path / "out")
    assert export("--format", "splat", "--output", "out", "--force") == 0
    assert (tmp_path / "out" / "avatar.splat").stat().st_size % 32 == 0


def test_one_frame_and_all_of_them(export: Call, tmp_path: Path) -> None:
    assert export("--format", "ply,glb", "--frame", "3", "--output", "one") == 0
    assert names(tmp_path / "one") == ["avatar_000003.ply", "body.glb"]
    assert export("--format", "ply", "--frames", "--output", "all") == 0
    assert names(tmp_path / "all") == ["avatar_ply"]
    assert names(tmp_path / "all" / "avatar_ply") == [f"{number:06d}.ply" for number in range(FRAMES)]
    one = read_ply(tmp_path / "one" / "avatar_000003.ply")
    assert one.means == pytest.approx(read_ply(tmp_path / "all" / "avatar_ply" / "000003.ply").means)
    assert b"comment frame 3, metres, Y up" in (tmp_path / "one" / "avatar_000003.ply").read_bytes()


def test_pictures_have_an_alpha_channel(export: Call, tmp_path: Path, inputs: Inputs) -> None:  # noqa: F811
    assert export("--format", "png", "--output", "all") == 0
    assert names(tmp_path / "all" / "avatar_png") == [f"{number:06d}.png" for number in range(FRAMES)]
    assert export("--format", "png", "--frame", "2", "--output", "one") == 0
    image = cv2.imread(str(tmp_path / "one" / "avatar_000002.png"), cv2.IMREAD_UNCHANGED)
    mask = read_grey(inputs["masks"] / "000002.png")
    assert image.shape == (*mask.shape, 4)
    assert np.abs(image[..., 3].astype(int) - mask).max() <= 1


def test_which_way_is_up(export: Call, tmp_path: Path) -> None:
    for up in ("y", "-y"):
        assert export("--format", "ply", "--up", up, "--output", f"up{up}") == 0
    upright, turned = (read_ply(tmp_path / f"up{up}" / "avatar.ply").means for up in ("y", "-y"))
    assert turned == pytest.approx(upright * np.array([1, -1, -1]), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "fbx"], "no format 'fbx'.\nKnown formats: ply, splat"),
        (["--format", ","], "No format was named"),
        (
            ["--format", "ply", "--frame", FRAMES],
            f"no frame {FRAMES}.\nThe clip's frames are 0 to {FRAMES - 1}",
        ),
        (["--format", "ply", "--frame", -1], "no frame -1"),
        (["--format", "ply", "--frame", 1, "--frames"], "exclude one another"),
        (["--format", "bvh", "--frames"], "do nothing for bvh"),
        (["--format", "spz,glb", "--up", "-y"], "--up does nothing for spz, glb"),
        (["--format", "ply", "--output", "file/within"], "cannot be written"),
    ],
)
def test_calls_that_cannot_be_meant(
    export: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[object], message: str
) -> None:
    (tmp_path / "file").write_text("")
    assert export(*arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert names(tmp_path) == ["clip.hsplat", "file"]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda place: shutil.rmtree(place.folder), "clip.hsplat is not a workspace.\nMake it: hsplat-"),
        (lambda place: shutil.rmtree(place.stage_folder("frames")), "has not finished: frames is missing"),
        (lambda place: (place.stage_folder("optimize") / "manifest.json").unlink(), "optimize is missing"),
        (lambda place: (place.stage_folder("optimize") / "avatar.npz").write_bytes(b"half"), "is damaged"),
    ],
)
def test_a_workspace_that_has_not_finished(
    export: Call,
    workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[Workspace], None],
    message: str,
) -> None:
    harm(workspace)
    assert export("--format", "ply", "--output", "out") == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_the_stages_folders_stay_as_published(
    export: Call, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in workspace.folder.rglob("*")}
    for place in ("optimize", "optimize/new", ".optimize.partial"):
        assert export("--format", "ply", "--output", workspace.folder / place, "--force") == 2
        assert "is the run's own folder.\nGive another place." in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in workspace.folder.rglob("*")} == before


def test_a_workspace_of_an_older_configuration(export: Call, workspace: Workspace) -> None:
    workspace.record_path.write_text('{"format": 1, "configuration": {"masks": {"forgotten": 1}}}')
    assert export("--format", "ply,glb") == 0
    assert names(workspace.folder / "exported") == ["avatar.ply", "body.glb"]


def test_the_record_says_which_smpl_file_it_was(
    inputs: Inputs,  # noqa: F811
    avatar: Avatar,  # noqa: F811
    motion: Motion,  # noqa: F811
    tmp_path: Path,
) -> None:
    made = shutil.copytree(inputs["optimize"], tmp_path / "made")
    replace(avatar, body="smpl").save(made / "avatar.npz")
    replace(motion, body="smpl").save(made / "motion.npz")
    place = finished_workspace(Workspace(tmp_path / "smpl.hsplat"), {**inputs, "optimize": made}, NEEDS)

    def write() -> None:
        export_workspace(place, ["glb"], None, Selection(), False, None, silent)

    record = place.record()
    record.configuration["optimize"] = {"body": str(tmp_path / "lost.npz")}
    write_json(place.record_path, record)
    with pytest.raises(InputError, match=r"lost\.npz"):
        write()
    place.record_path.unlink()
    with pytest.raises(InputError, match=r"workspace\.json is damaged"):
        write()


def test_the_help_names_every_format(export: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("--help") == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"{', '.join(FORMATS)} or all" in said
