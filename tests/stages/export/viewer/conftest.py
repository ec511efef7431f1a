"""A clip whose avatar shows what can go wrong: flat Gaussians of all directions, colours, opacities."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import BodyModel, Motion, retarget
from stages.export.clip import Clip
from stages.export.viewer import write_viewer
from tests.stages.export.conftest import FRAMES


@pytest.fixture(scope="session")
def lively(clip: Clip, avatar: Avatar, motion: Motion, body: BodyModel) -> Clip:
    """The clip with such an avatar and with limbs that bend, differently in the initial motion."""
    chance, count = np.random.default_rng(3), len(avatar)
    numbers = {
        "quaternions": chance.normal(size=(count, 4)),
        "log_scales": np.log(chance.uniform([0.008, 0.008, 0.002], [0.03, 0.03, 0.006], (count, 3))),
        "opacity_logits": chance.normal(1, 2, count),
        "colors": chance.uniform(size=(count, 3)),
    }
    bent = motion.poses + chance.normal(0, 0.25, (FRAMES, 72)).astype(np.float32) * (np.arange(72) >= 3)
    stiff = motion.poses + np.float32(0.1) * (np.arange(72) == 50)
    return replace(
        clip,
        avatar=replace(avatar, **{name: torch.from_numpy(a).float() for name, a in numbers.items()}),
        refined=retarget(replace(motion, poses=bent.astype(np.float32)), body),
        initial=retarget(replace(motion, poses=stiff.astype(np.float32)), body),
    )


@pytest.fixture(scope="session")
def viewer_file(tmp_path_factory: pytest.TempPathFactory, lively: Clip) -> Path:
    """viewer.html of that clip."""
    path = tmp_path_factory.mktemp("viewer") / "viewer.html"
    write_viewer(path, lively, "my clip.mp4", 128)
    return path
