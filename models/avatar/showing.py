"""The avatar on show: upright in an A-pose, and the cameras around it."""

import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar.avatar import Avatar
from models.cameras import Camera, look_at

UP = (0.0, 1.0, 0.0)
"""In the rest pose's space, where the avatar stands."""

# Arms lowered from the T-pose and bent a little, legs a little apart: hides least and stretches nothing.
_A_POSE = {
    16: (0, 0, -0.85),
    17: (0, 0, 0.85),
    18: (0, -0.25, 0),
    19: (0, 0.25, 0),
    1: (0, 0, 0.1),
    2: (0, 0, -0.1),
}
_DISTANCE = 4.0  # metres
_FILL = 0.86  # of the picture's height, or of its width where that is less


def a_pose() -> NDArray[np.float32]:
    """(72,) axis-angle of the A-pose."""
    poses = np.zeros((24, 3), np.float32)
    for joint, angles in _A_POSE.items():
        poses[joint] = angles
    return poses.reshape(-1)


@torch.no_grad()
def front_camera(avatar: Avatar, width: int, height: int) -> Camera:
    """A level camera four metres in front of `avatar.pose(a_pose())` that has it all in the picture, from
    whatever side it is moved to about the pelvis.

    Args:
        width, height: of the picture, pixels.
    """
    means = avatar.pose(a_pose()).means.cpu().numpy()
    # A stray Gaussian must not shrink the person.
    low, high = np.percentile(means, [0.5, 99.5], axis=0)
    pelvis = avatar.rest_joints[0].cpu().numpy()
    reach = np.abs([low - pelvis, high - pelvis])[:, [0, 2]].max()
    tall = _FILL * height * _DISTANCE / (high[1] - low[1])
    wide = _FILL * width / 2 * (_DISTANCE - reach) / reach
    focal = min(tall, wide)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    middle = [pelvis[0], (low[1] + high[1]) / 2, pelvis[2]]
    return Camera(K, width, height, look_at(middle, _DISTANCE))


def turntable(avatar: Avatar, width: int, height: int, count: int) -> list[Camera]:
    """`count` cameras evenly around `avatar.pose(a_pose())`: its front, left, back, right."""
    front, pelvis = front_camera(avatar, width, height), avatar.rest_joints[0].cpu().numpy()
    return [front.orbited(pelvis, UP, 2 * np.pi * step / count) for step in range(count)]
