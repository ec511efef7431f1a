"""BlazePose's landmarks on the body: a joint each, plus a constant offset turning with a part of it."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.body import JOINT_NAMES
from models.placement import placed

Array = NDArray[np.floating]


class _Site(NamedTuple):
    landmark: int
    joint: str
    turns_with: str
    offset: tuple[float, float, float]
    weight: float


# The left side and the middle. Offsets are metres in the rest pose's axes (x left, y up, z forward), fitted
# on sequences of known pose: without them the joints come out 10 mm worse. Weights say how well the
# landmark is located in the picture.
_SITES = (
    _Site(0, "head", "head", (0.0, 0.017, 0.105), 0.5),  # nose
    _Site(7, "head", "head", (0.052, 0.030, 0.033), 0.5),  # ear
    _Site(11, "left_shoulder", "left_collar", (-0.003, 0.023, 0.001), 1.0),
    _Site(13, "left_elbow", "left_elbow", (0.005, 0.005, 0.011), 1.0),
    _Site(15, "left_wrist", "left_wrist", (0.010, -0.004, 0.006), 1.0),
    _Site(19, "left_wrist", "left_wrist", (0.090, -0.018, 0.014), 0.3),  # index finger
    _Site(23, "left_hip", "pelvis", (-0.008, -0.006, 0.032), 1.0),
    _Site(25, "left_knee", "left_knee", (0.003, -0.004, -0.010), 1.0),
    _Site(27, "left_ankle", "left_ankle", (0.0, 0.018, 0.012), 1.0),
    _Site(29, "left_ankle", "left_ankle", (-0.002, -0.042, -0.028), 0.5),  # heel
    _Site(31, "left_foot", "left_foot", (-0.013, 0.0, 0.030), 0.5),  # toes
)


def _right(site: _Site) -> _Site:
    x, y, z = site.offset
    joint, turns_with = (name.replace("left", "right") for name in (site.joint, site.turns_with))
    return _Site(site.landmark + 1, joint, turns_with, (-x, y, z), site.weight)


SITES = (*_SITES, *(_right(site) for site in _SITES[1:]))
NUMBERS = [site.landmark for site in SITES]  # BlazePose's own numbers, in the order used in this package
WEIGHTS = torch.tensor([site.weight for site in SITES])
_JOINTS = torch.tensor([JOINT_NAMES.index(site.joint) for site in SITES])
_FRAMES = torch.tensor([JOINT_NAMES.index(site.turns_with) for site in SITES])
_OFFSETS = torch.tensor([site.offset for site in SITES])


def index(number: int) -> int:
    """Where BlazePose's landmark `number` stands among SITES."""
    return NUMBERS.index(number)


class _Bone(NamedTuple):
    start: int
    end: int
    stretch: float = 1.0
    shift: float = 0.0
    weight: float = 1.0


# Pairs of BlazePose's landmarks whose directions are compared: the left side, and across. The network's
# depths, along the ray through the person, are off in the same way in every clip: stretch and shift (metres)
# undo that. Feet come out half as deep as they are and with the toes too near, the side of the trunk leans
# too far, and shins lean back as they would look from the camera's height. Fitted on sequences of known pose.
_LEFT_BONES = (
    _Bone(11, 13), _Bone(13, 15), _Bone(15, 19), _Bone(23, 25), _Bone(25, 27, shift=-0.09),
    _Bone(27, 31, stretch=2.0, shift=0.06), _Bone(29, 31, stretch=2.0, shift=0.06),
    _Bone(11, 23, stretch=0.6, weight=2.0), _Bone(7, 0),
)  # fmt: skip
_CROSS_BONES = (_Bone(11, 12), _Bone(23, 24), _Bone(7, 8))
_RIGHT_BONES = tuple(b._replace(start=b.start + 1, end=b.end + 1 if b.end else 0) for b in _LEFT_BONES)
_BONES = (*_LEFT_BONES, *_RIGHT_BONES, *_CROSS_BONES)
BONES = [(index(bone.start), index(bone.end)) for bone in _BONES]
"""As indices into SITES: (from, to)."""
BONE_WEIGHTS = torch.tensor([bone.weight for bone in _BONES])
STRETCHES = np.array([bone.stretch for bone in _BONES])
SHIFTS = np.array([bone.shift for bone in _BONES])
_STARTS, _ENDS = (list(ends) for ends in zip(*BONES, strict=True))
# The network's limbs reach half as far towards or away from the camera as the true ones, on the right side.
# As a measurement that is too uncertain to be doubled; to begin with it is the better guess.
_START_STRETCH = 2.0
_UNCALIBRATED = STRETCHES == 1
FEET = [index(n) for n in (29, 30, 31, 32)]
TORSO = [index(n) for n in (11, 12, 23, 24)]


def landmark_positions(transforms: Tensor, joints: Tensor) -> Tensor:
    """Where the body's landmarks are.

    Args:
        transforms: (..., 24, 4, 4) and
        joints: (..., 24, 3), both from `BodyModel.articulate`.

    Returns:
        (..., len(SITES), 3) in the joints' space.
    """
    offsets = placed(_OFFSETS, joints.device, joints.dtype)
    places = joints.index_select(-2, placed(_JOINTS, joints.device))
    turned = transforms[..., :3, :3].index_select(-3, placed(_FRAMES, joints.device))
    return places + torch.einsum("...nij,nj->...ni", turned, offsets)


def network_bones(world: Array, start: bool = False) -> Array:
    """BlazePose's bones with what is known to be wrong about their depth put right.

    Args:
        world: (..., len(SITES), 3) its landmarks in metres, z along the ray through the person.
        start: whether a first guess is wanted instead of a measurement: limbs twice as deep.

    Returns:
        (..., len(BONES), 3) metres, on the same axes.
    """
    bones = world[..., _ENDS, :] - world[..., _STARTS, :]
    stretches = np.where(_UNCALIBRATED, _START_STRETCH, STRETCHES) if start else STRETCHES
    bones[..., 2] = stretches * bones[..., 2] + SHIFTS
    return bones


def bone_directions(landmarks: Tensor) -> Tensor:
    """(..., len(SITES), 3) positions into the unit vectors (..., len(BONES), 3) along BONES."""
    return directions(landmarks[..., _ENDS, :] - landmarks[..., _STARTS, :])


def directions(bones: Tensor) -> Tensor:
    """Unit vectors (..., 3) along bones (..., 3)."""
    return torch.nn.functional.normalize(bones, dim=-1, eps=1e-6)
