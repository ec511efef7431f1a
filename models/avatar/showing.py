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
_LOOKS = 24  # poses of a motion that are looked at
_FLESH = 0.2  # metres, that a body reaches beyond its joints
_LENS = 1.5  # focal length in lengths of the picture's longer side


def a_pose() -> NDArray[np.float32]:
    """(72,) axis-angle of the A-pose."""
    poses = np.zeros((24, 3), np.float32)
    for joint, angles in _A_POSE.items():
        poses[joint] = angles
    return poses.reshape(-1)


@torch.no_grad()
def front_camera(
    avatar: Avatar, width: int, height: int, poses: NDArray[np.floating] | None = None
) -> Camera:
    """A level camera four metres in front of the avatar that has it all in the picture, from whatever side it
    is moved to about the pelvis.

    Args:
        width, height: of the picture, pixels.
        poses: (72,) or (T,72) that are shown in place, upright with Y up; the A-pose by default.
    """
    shown = np.atleast_2d(a_pose() if poses is None else poses)
    few = shown[np.linspace(0, len(shown) - 1, min(len(shown), _LOOKS)).round().astype(int)]
    # A stray Gaussian must not shrink the person.
    bounds = [np.percentile(avatar.pose(one).means.cpu().numpy(), [0.5, 99.5], axis=0) for one in few]
    low, high = np.min([b[0] for b in bounds], axis=0), np.max([b[1] for b in bounds], axis=0)
    pelvis = avatar.rest_joints[0].cpu().numpy()
    reach = np.abs([low - pelvis, high - pelvis])[:, [0, 2]].max()
    tall = _FILL * height * _DISTANCE / (high[1] - low[1])
    wide = _FILL * width / 2 * (_DISTANCE - reach) / reach
    middle = [pelvis[0], (low[1] + high[1]) / 2, pelvis[2]]
    return Camera(_intrinsics(min(tall, wide), width, height), width, height, look_at(middle, _DISTANCE))


def turntable(
    avatar: Avatar, width: int, height: int, count: int, poses: NDArray[np.floating] | None = None
) -> list[Camera]:
    """`count` cameras evenly around the avatar: before its front, its left, its back and its right.

    Args:
        poses: what is shown in place, as of `front_camera`; the A-pose by default.
    """
    front, pelvis = front_camera(avatar, width, height, poses), avatar.rest_joints[0].cpu().numpy()
    return [front.orbited(pelvis, UP, 2 * np.pi * step / count) for step in range(count)]


def framing(joints: NDArray[np.floating], width: int, height: int) -> Camera:
    """A still camera that looks along the space's z axis and has a whole motion in the picture.

    Args:
        joints: (T,24,3) metres, x right, y down, z away from the viewer.
        width, height: of the picture, pixels.
    """
    points = joints.reshape(-1, 3).astype(np.float64)
    low, high = points.min(0) - _FLESH, points.max(0) + _FLESH
    focal = _LENS * max(width, height)
    half = (high - low) / 2
    distance = half[2] + focal * max(half[0] / (_FILL * width / 2), half[1] / (_FILL * height / 2))
    place = np.eye(4)
    place[:3, 3] = [0, 0, distance] - (low + high) / 2
    return Camera(_intrinsics(focal, width, height), width, height, place)


def _intrinsics(focal: float, width: int, height: int) -> NDArray[np.float64]:
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
