"""The examples run as they are, on a small finished workspace."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models import gpu
from models.avatar import Avatar
from models.body import Motion
from stages.probe import probe
from tests.stages.render.conftest import FRAMES, avatar, body, motion  # noqa: F401

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("[0-9]*.py"))


@pytest.fixture
def workspace(avatar: Avatar, motion: Motion, tmp_path: Path) -> Path:  # noqa: F811
    """Those of its files that the examples read."""
    export = tmp_path / "clip.hsplat" / "export"
    export.mkdir(parents=True)
    avatar.save(export / "avatar.npz")
    motion.save(export / "motion.npz")
    assert motion.joints is not None
    shift = np.float32([0.05, 0, 0])
    replace(motion, trans=motion.trans + shift, joints=motion.joints + shift).save(
        export / "motion_initial.npz"
    )
    return export.parent


def run(name: str, *arguments: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


MADE = {
    "01": {"01_front.png", "01_side.png"},
    "02": {"02_turntable.mp4"},
    "03": {"03_motion.bvh", "03_reanimated.webm"},
    "04": {"04_wave.mp4", "04_pose.png"},
    "05": {"05_before_after.mp4"},
}
PICTURES = {
    "02_turntable.mp4": 48,
    "03_reanimated.webm": FRAMES,
    "04_wave.mp4": 36,
    "05_before_after.mp4": FRAMES,
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_makes_what_it_promises(
    script: str,
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    run(script, workspace, output, monkeypatch=monkeypatch)
    made = {path.name for path in output.iterdir()}
    assert made == MADE[script[:2]]
    for name in made:
        assert name in (EXAMPLES / script).read_text()
        if name in PICTURES:
            assert len(probe(output / name).times) == PICTURES[name]
        if name.endswith(".png"):
            picture = cv2.imread(str(output / name), cv2.IMREAD_UNCHANGED)
            assert np.ptp(picture.reshape(-1, picture.shape[2]).astype(int), axis=0).max() > 100
    if script.startswith("05"):
        assert capsys.readouterr().out.splitlines()[0].endswith("50 mm")


def test_another_file_is_reanimated(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(
        "03_reanimate.py",
        workspace,
        tmp_path,
        workspace / "export" / "motion_initial.npz",
        monkeypatch=monkeypatch,
    )
    assert len(probe(tmp_path / "03_reanimated.webm").times) == FRAMES


def test_the_page_lists_every_script() -> None:
    page = (EXAMPLES / "README.md").read_text()
    assert len(SCRIPTS) == 5 and all(f"`{script}`" in page for script in SCRIPTS)


def test_a_card_that_gsplat_cannot_use_is_left_alone(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, to = [], Avatar.to

    def moved(one: Avatar, device: str) -> Avatar:
        asked.append(device)
        return to(one, "cpu")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu, "lack", lambda: gpu.Lack("there is no nvcc", "install it"))
    monkeypatch.setattr(Avatar, "to", moved)
    run("01_load_and_render.py", workspace, tmp_path, monkeypatch=monkeypatch)
    assert asked == ["cpu"]
