"""Motions that the tests write and read."""

import numpy as np
import torch
from numpy.typing import NDArray

from models.body import BodyModel, Motion

T = 7


def some_motion(body: BodyModel, seed: int = 0, joints: bool = True) -> Motion:
    """Random poses of a body of some shape, three metres in front of the camera and facing it."""
    rng = np.random.default_rng(seed)
    poses = rng.normal(0, 0.4, (T, 24, 3)).astype(np.float32)
    poses[:, 0] += [np.pi, 0, 0]
    trans = rng.normal(0, 0.3, (T, 3)).astype(np.float32) + np.float32([0, 0, 3])
    betas = rng.normal(0, 0.7, 10).astype(np.float32)
    motion = Motion(
        poses=poses.reshape(T, 72),
        trans=trans,
        betas=betas,
        K=np.array([[600.0, 0, 240], [0, 600, 320], [0, 0, 1]]),
        frame=np.arange(T),
        fps=29.97,
        width=480,
        height=640,
        body=body.kind,
        valid=np.ones(T, bool),
    )
    if not joints:
        return motion
    return Motion(**{**vars(motion), "joints": joints_of(motion, body)})


def joints_of(motion: Motion, body: BodyModel) -> NDArray[np.float32]:
    """(T, 24, 3) camera space."""
    arguments = (torch.from_numpy(a) for a in (motion.poses, motion.trans, motion.betas))
    return body.articulate(*arguments)[1].numpy()


def rest_joints(motion: Motion, body: BodyModel) -> NDArray[np.float32]:
    """(24, 3) of the motion's own shape."""
    return body.shaped_joints(torch.from_numpy(motion.betas)).numpy()
