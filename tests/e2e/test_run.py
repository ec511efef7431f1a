"""From a clip to an avatar: small, but all of it."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import plyfile
import pytest

from pipeline.__main__ import main
from tests.e2e.conftest import CLIP, FRAMES, OPTIONS, Ended, Start

SOMEBODY, SECRET = "telltale-somebody", "telltale-token"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace, in a place with a space and an umlaut, in the home of somebody with secrets."""
    home = tmp_path_factory.mktemp("home") / SOMEBODY
    folder = home / "Mein Ordner ä" / "clip.hsplat"
    folder.parent.mkdir(parents=True)
    video = shutil.copy(CLIP, folder.parent / "clip.mp4")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setenv("HOME", str(home))
        patch.setenv("SERVICE_TOKEN", SECRET)
        patch.setattr(
            "sys.argv", ["hsplat-pipeline", "run", str(video), "--workspace", str(folder), *OPTIONS]
        )
        main()
    assert end.value.code in (None, 0)
    return folder


def test_every_stage_is_published(folder: Path, call: Callable[..., Ended]) -> None:
    facts = json.loads(call("status", folder, "--json").out)
    assert facts["complete"]
    assert len(facts["stages"]) == 7
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_second_run_does_nothing(folder: Path, start: Start) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/manifest.json")}
    process = start("run", CLIP, "--workspace", folder, *OPTIONS)
    out, err = process.communicate()
    assert process.returncode == 0
    assert err == "up to date: frames, detect, poses, masks, depth, optimize, export\n"
    assert "report.html" in out
    assert {path: path.stat().st_mtime_ns for path in before} == before


def holds(path: Path, word: str) -> bool:
    """Whether a file holds a word, plain or in UTF-16, in itself or in the parts of an archive."""
    contents = [path.read_bytes()]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            contents += [archive.read(name) for name in archive.namelist()]
    return any(
        word.encode(coding) in content
        for content in contents
        for coding in ("utf-8", "utf-16-le", "utf-32-le")
    )


def test_what_is_given_away_tells_nothing_of_its_maker(folder: Path) -> None:
    given = list((folder / "export").iterdir())
    assert {"report.html", "viewer.html", "metrics.json", "avatar.npz"} <= {path.name for path in given}
    assert not [path.name for path in given if holds(path, SOMEBODY)]
    assert not [path for path in folder.rglob("*") if path.is_file() and holds(path, SECRET)]
    assert holds(min((folder / "logs").iterdir()), SOMEBODY)  # which stays at home


def test_the_motion_is_whole(folder: Path) -> None:
    for name in ("motion.npz", "motion_initial.npz"):
        with np.load(folder / "export" / name, allow_pickle=False) as motion:
            assert motion["poses"].shape == (FRAMES, 72)
            assert motion["joints"].shape == (FRAMES, 24, 3)
            assert all(np.isfinite(motion[key]).all() for key in ("poses", "trans", "betas", "joints", "K"))
            assert (motion["joints"][motion["valid"], 0, 2] > 0.5).all()


def test_the_avatar_is_whole(folder: Path) -> None:
    vertices = plyfile.PlyData.read(folder / "export" / "avatar.ply")["vertex"]
    assert len(vertices.properties) == 62
    assert len(vertices.data) >= 1000
    assert all(np.isfinite(vertices[field.name]).all() for field in vertices.properties)
    height = np.ptp(vertices["y"])
    assert 1.2 < height < 2.4


def test_every_file_that_is_announced_is_there(folder: Path) -> None:
    manifest = json.loads((folder / "export" / "manifest.json").read_text())
    announced = manifest["summary"]["files"]
    assert {"avatar.ply", "motion.npz", "overlay.mp4", "avatar.mp4", "turntable.mp4", "report.html"} <= set(
        announced
    )
    assert all((folder / "export" / name).stat().st_size > 100 for name in announced)


def test_the_figures_are_numbers(folder: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    json.loads((folder / "export" / "metrics.json").read_text(), parse_constant=refuse)


def test_its_own_motion_is_the_truth(folder: Path, call: Callable[..., Ended], tmp_path: Path) -> None:
    with np.load(folder / "optimize" / "motion.npz") as motion:
        np.savez(tmp_path / "gt.npz", joints_cam=motion["joints"], frame=motion["frame"])
    ended = call("evaluate", folder, "--truth", tmp_path / "gt.npz", "--json", tmp_path / "found.json")
    assert ended.status == 0
    facts = json.loads((tmp_path / "found.json").read_text())
    assert facts["frames"]["compared"] == FRAMES
    assert (
        facts["motion"]["after"]["mean"]["camera_mpjpe"] < 0.01 < facts["motion"]["before"]["mean"]["mpjpe"]
    )
    assert facts["pictures"]["held_out"]["fitted poses"]["psnr"] > 5
    assert "By joint" in ended.out


def test_an_option_of_export_reruns_only_export(folder: Path, call: Callable[..., Ended]) -> None:
    ended = call("run", CLIP, "--workspace", folder, *OPTIONS, "--set", "export.ply_up=-y")
    assert ended.status == 0
    assert "up to date: frames, detect, poses, masks, depth, optimize\nexport:" in ended.err
