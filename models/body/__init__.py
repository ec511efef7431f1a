"""The body: rotations, skinning, the embedded body and the user's own SMPL, and the motion file."""

from models.body.body import (
    JOINT_COUNT,
    JOINT_NAMES,
    PARENTS,
    SHAPE_COUNT,
    BodyKind,
    BodyModel,
    Posed,
    load_body,
    load_embedded_body,
)
from models.body.motion import Motion, retarget

__all__ = [
    "JOINT_COUNT",
    "JOINT_NAMES",
    "PARENTS",
    "SHAPE_COUNT",
    "BodyKind",
    "BodyModel",
    "Motion",
    "Posed",
    "load_body",
    "load_embedded_body",
    "retarget",
]
