"""Motions of other programs on their way to a body of ours."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from models.body import PARENTS, SHAPE_COUNT, BodyKind, Motion
from models.body.rotations import axis_angle_to_matrix
from models.body.skinning import forward_kinematics

Array = NDArray[np.float64]

# Such files know no camera; a motion of ours needs one.
_SIDE, _FOCAL = 1080, 1500.0
_K = np.array([[_FOCAL, 0, _SIDE / 2], [0, _FOCAL, _SIDE / 2], [0, 0, 1]])
FARTHEST = 1e6
"""Metres from the origin that a file may put somebody; single precision has centimetres there."""


def motion_on(
    rest_joints: ArrayLike,
    poses: Array,
    pelvis: Array,
    fps: float,
    body: BodyKind = "embedded",
    betas: ArrayLike | None = None,
) -> Motion:
    """A motion on a skeleton of ours, from what all such files have.

    Args:
        rest_joints: (24, 3) metres, the skeleton in its T-pose.
        poses: (T, 72) axis-angle, the root's in camera space.
        pelvis: (T, 3) metres, camera space.
        fps: frames a second.
        body, betas: whose skeleton it is; the mean shape by default.

    Returns:
        The motion with its joints. Its camera is one for want of another: the file has none.
    """
    rest = torch.as_tensor(np.asarray(rest_joints, np.float64))
    turns = axis_angle_to_matrix(torch.from_numpy(poses).reshape(len(poses), -1, 3))
    joints = forward_kinematics(turns, rest, PARENTS)[1].numpy()
    trans = pelvis - rest[0].numpy()
    return Motion(
        poses=poses.astype(np.float32),
        trans=trans.astype(np.float32),
        betas=np.zeros(SHAPE_COUNT, np.float32) if betas is None else np.asarray(betas, np.float32),
        K=_K,
        frame=np.arange(len(poses)),
        fps=fps,
        width=_SIDE,
        height=_SIDE,
        body=body,
        valid=np.ones(len(poses), bool),
        joints=(joints + trans[:, None]).astype(np.float32),
    )
