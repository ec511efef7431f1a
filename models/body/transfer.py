"""Between SMPL's own body and the embedded one: what of a motion holds for both, and what is found anew.

The two share joints, parents and rest pose, so rotations carry over as they are. Shape coefficients do not:
each body has components of its own. Nor does `trans`, since the rest pelvises lie elsewhere. For a shape that
cannot be carried over stands an average one of the same stature, in the same place.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from models.body.body import JOINT_NAMES, BodyModel

Array = NDArray[np.float64]

SMPL_PELVIS = np.array([-0.0018, -0.2233, 0.0282])
"""Metres; where the pelvis of SMPL's mean body rests. Shapes of adults move it by some 2 cm."""
SMPL_STATURE = 1.38
"""Metres from the ankles to the neck of SMPL's mean body."""
LARGEST_SHAPE = 3.0
"""Length of a shape's coefficients, standard deviations, that a stature may ask for."""

_LEGS = [
    [JOINT_NAMES.index(f"{side}_{name}") for name in ("hip", "knee", "ankle")] for side in ("left", "right")
]
_NECK = JOINT_NAMES.index("neck")


def stature(joints: Tensor) -> Tensor:
    """Metres from the ankles to the neck, (...,) of joints (..., 24, 3) in any pose with a straight back.

    Along the legs to the hips, and from the middle between the hips straight to the neck: the places of these
    joints in the body are much the same in all bodies of SMPL's form, other than the pelvis and the spine.
    """
    legs = torch.stack([joints[..., leg, :] for leg in _LEGS])
    lengths = (legs[..., 1:, :] - legs[..., :-1, :]).norm(dim=-1).sum(-1).mean(0)
    return lengths + (joints[..., _NECK, :] - legs[..., 0, :].mean(0)).norm(dim=-1)


def shape_of_stature(body: BodyModel, metres: float) -> Tensor:
    """The least unusual shape (10,) of a stature, or the nearest to that which LARGEST_SHAPE allows."""
    betas = torch.zeros_like(body.joint_dirs[0, 0])
    for _ in range(5):
        betas = betas.detach().requires_grad_()
        with torch.enable_grad():
            here = stature(body.shaped_joints(betas))
            slope = torch.autograd.grad(here, betas)[0]
        betas = betas + slope * (metres - here) / slope.square().sum()
    betas = betas.detach()
    return betas * min(1.0, LARGEST_SHAPE / float(betas.norm().clamp_min(1e-6)))


def usual_stature(joints: ArrayLike) -> float:
    """The median stature over the frames of a motion's joints (T, 24, 3), metres."""
    return float(stature(torch.as_tensor(joints)).median())
