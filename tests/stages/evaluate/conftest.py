"""The export stage's small clip with a truth: its refined motion, which the avatar's pictures show."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import BodyModel, Motion
from models.cameras import Camera, orbit
from stages.export.clip import render_avatar
from stages.images import write_image
from tests.stages.export.conftest import (  # noqa: F401
    FRAMES,
    HEIGHT,
    WIDTH,
    Inputs,
    K,
    avatar,
    body,
    inputs,
    motion,
)

HELD_OUT = [1, 5]
MakeTruth = Callable[..., Path]


@pytest.fixture(scope="session")
def folders(inputs: Inputs, motion: Motion) -> Inputs:  # noqa: F811
    """A finished workspace's folders; the interpolated poses stand 5 cm aside of the fitted ones."""
    poses, trans = motion.poses[HELD_OUT], motion.trans[HELD_OUT] + np.float32([0.05, 0, 0])
    np.savez(inputs["optimize"] / "held_out.npz", frames=np.array(HELD_OUT), poses=poses, trans=trans)
    return inputs


@pytest.fixture(scope="session")
def true_arrays(motion: Motion, body: BodyModel) -> Mapping[str, Any]:  # noqa: F811
    with torch.no_grad():
        posed = body.pose(
            torch.from_numpy(motion.poses), torch.from_numpy(motion.trans), torch.from_numpy(motion.betas)
        )
    rows = np.array([0, 4])
    return {
        "fps": 10.0,
        "joints_cam": posed.joints.numpy(),
        "poses_cam": motion.poses,
        "trans_cam": motion.trans,
        "betas": motion.betas,
        "vertices_cam": posed.vertices.numpy()[rows],
        "vertices_frames": rows,
        "T_world_cam": np.tile(np.eye(4), (FRAMES, 1, 1)),
    }


@pytest.fixture
def make_truth(tmp_path: Path, true_arrays: Mapping[str, Any]) -> MakeTruth:
    """make_truth(name=array or None to leave it out, ...) gives the path of gt.npz."""

    def make(**changes: Any) -> Path:
        arrays = {**true_arrays, **changes}
        path = tmp_path / "truth" / "gt.npz"
        path.parent.mkdir(exist_ok=True)
        np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
        return path

    return make


@pytest.fixture
def pictured(make_truth: MakeTruth, avatar: Avatar, motion: Motion) -> Path:  # noqa: F811
    """A truth with the avatar's own pictures from a second camera, at twice the size, and in another pose."""
    path = make_truth()
    novel, poses = path.with_name("novel"), path.with_name("novel_pose")
    novel.mkdir()
    poses.mkdir()
    assert motion.joints is not None
    T_cam_world = orbit(motion.joints[0, 0], [0, -1, 0], 1.0)
    for row in (0, 3):
        color, alpha = render_avatar(
            avatar,
            motion.poses[row],
            motion.trans[row],
            Camera(np.diag([2, 2, 1]) @ K, 2 * WIDTH, 2 * HEIGHT, T_cam_world),
        )
        _write(novel / f"cam0_frame{row:03d}.png", color, alpha)
    np.savez(
        novel / "cameras.npz",
        K=K,
        width=WIDTH,
        height=HEIGHT,
        T_world_cam=np.linalg.inv(T_cam_world)[None],
        frame_indices=[0, 3],
    )
    color, alpha = render_avatar(avatar, motion.poses[2], motion.trans[2], Camera(K, WIDTH, HEIGHT))
    _write(poses / "pose0.png", color, alpha)
    np.savez(poses / "gt.npz", poses_cam=motion.poses[2:3], joints_cam=motion.joints[2:3], K=K, fps=10.0)
    return path


def _write(path: Path, color: np.ndarray, alpha: np.ndarray) -> None:
    """The picture with its own alpha's colour before nothing, and the alpha."""
    solid = color / np.maximum(alpha, 1e-3)[..., None]
    write_image(path, (255 * solid.clip(0, 1)).round().astype(np.uint8))
    write_image(path.with_name(f"{path.stem}_mask.png"), (255 * alpha).round().astype(np.uint8))
