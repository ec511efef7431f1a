"""Blender imports the body and the motion, and has every joint where motion.npz has it."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.body import JOINT_NAMES, BodyModel
from tests.interop.conftest import AskBlender, Exported

FRAMES = [0, 1, 3, 4, 6]
TOLERANCE = 0.005  # metres


def in_camera_space(places: object) -> NDArray[np.float64]:
    """Blender's world has Z up and the clip's camera looks along +Y: (x, y, z) there is (x, -z, y) here."""
    found = np.asarray(places, np.float64)
    return np.stack([found[..., 0], -found[..., 2], found[..., 1]], axis=-1)


@pytest.mark.parametrize("name", ["glb", "bvh"])
def test_joints_are_where_the_motion_has_them(exported: Exported, ask_blender: AskBlender, name: str) -> None:
    moments = [exported.content.times[frame] if name == "glb" else frame for frame in FRAMES]
    told = ask_blender(exported.path(name), moments)["moments"]
    joints = exported.content.motion.joints
    assert joints is not None
    for frame, moment in zip(FRAMES, told, strict=True):
        found = in_camera_space([moment["joints"][joint] for joint in JOINT_NAMES])
        assert np.linalg.norm(found - joints[frame], axis=1).max() < TOLERANCE


def test_the_skin_follows_and_has_its_colours(
    exported: Exported, ask_blender: AskBlender, body: BodyModel
) -> None:
    motion = exported.content.motion
    told = ask_blender(exported.path("glb"), [exported.content.times[frame] for frame in FRAMES])
    arguments = (motion.poses[FRAMES], motion.trans[FRAMES], motion.betas)
    expected = body.pose(*map(torch.from_numpy, arguments)).vertices.numpy()
    for index, moment in enumerate(told["moments"]):
        distance = np.linalg.norm(in_camera_space(moment["vertices"]) - expected[index], axis=1)
        assert np.median(distance) < TOLERANCE / 10
        assert distance.max() < 2 * TOLERANCE  # where more than four joints pull
    light = np.asarray(told["colors"])[:, :3]
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert shown == pytest.approx(exported.content.mesh().colors, abs=0.01)
