"""A small avatar and its motion."""

from pathlib import Path

import numpy as np
import pytest

from models.avatar import Avatar
from models.body import BodyModel, Motion, load_embedded_body
from tests.models.avatar.scenes import HEIGHT, WIDTH, K, true_avatar, true_motion

FRAMES = 4


@pytest.fixture(scope="session")
def body() -> BodyModel:
    return load_embedded_body()


@pytest.fixture(scope="session")
def avatar(body: BodyModel) -> Avatar:
    return true_avatar(body)


@pytest.fixture(scope="session")
def motion(body: BodyModel) -> Motion:
    """Of the avatar's own shape, facing the camera three metres away."""
    poses, trans = true_motion(FRAMES)
    shape = np.zeros(10, np.float32)
    joints = body.articulate(poses, trans, body.joint_template.new_zeros(10))[1].numpy()
    return Motion(
        poses.numpy(), trans.numpy(), shape, K, np.arange(FRAMES), 12.5, WIDTH, HEIGHT, "embedded",
        np.ones(FRAMES, bool), joints,
    )  # fmt: skip


@pytest.fixture
def motion_file(motion: Motion, tmp_path: Path) -> Path:
    motion.save(tmp_path / "motion.npz")
    return tmp_path / "motion.npz"
