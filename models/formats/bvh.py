"""BVH, the motion file of animation programs (Biovision 1999): degrees, and a unit that it does not name.

The axes of what is written: Y up, camera space turned by half a turn about x, so that a person who faces the
camera faces +Z, with their left towards +X. All joints' rest axes are the world's.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from models.body import JOINT_COUNT, JOINT_NAMES, BodyKind, Motion
from models.body.skeletons import UnknownSkeleton, transfer
from models.formats.bvh_text import parse_bvh, refusal
from models.formats.foreign import FARTHEST, motion_on

Array = NDArray[np.float64]

UNITS = {"m": 1.0, "cm": 100.0}
"""How many of each make a metre."""
HALF_TURN = np.diag([1.0, -1.0, -1.0])
"""Between camera space (x right, y down, z forward) and the file's world (Y up)."""

_ORDER = "ZXY"
_LAST_BONE = 0.5  # of its parent's length, the bone that ends a limb


def write_bvh(
    path: Path,
    motion: Motion,
    rest_joints: ArrayLike,
    parents: Sequence[int],
    unit: Literal["m", "cm"] = "m",
) -> None:
    """Writes all frames of a motion, on the subject's own skeleton.

    One ROOT with six channels, the pelvis; its positions are the pelvis's places. The rest pose (all channels
    zero) is the T-pose with the pelvis at the origin.

    Args:
        path: replaced if it exists.
        motion: in camera space; its pelvis is kept, see `Motion.pelvis`.
        rest_joints: (24, 3) metres, of the skeleton in its T-pose, as in an avatar.
        parents: of the joints, -1 the root's; a parent comes before its children.
        unit: of offsets and positions. Blender takes metres as they are, Maya and Unreal expect centimetres.

    Raises:
        ValueError: not 24 joints, or values that are not finite.
        OSError: the file cannot be written.
    """
    rest = np.asarray(rest_joints, np.float64)
    if rest.shape != (JOINT_COUNT, 3) or len(parents) != JOINT_COUNT:
        raise ValueError(f"a skeleton needs joints (24, 3) and 24 parents, not {rest.shape}, {len(parents)}")
    if not all(np.isfinite(values).all() for values in (rest, motion.poses, motion.pelvis(rest[0]))):
        raise ValueError("the motion or the skeleton holds values that are not finite")
    values = _channels(motion, rest) * np.r_[np.full(3, UNITS[unit]), np.ones(3 * JOINT_COUNT)]
    order: list[int] = []
    hierarchy = _hierarchy(rest * UNITS[unit], parents, order)
    columns = np.r_[0:3, np.concatenate([np.r_[3 * j + 3 : 3 * j + 6] for j in order])]
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write("HIERARCHY\n" + "\n".join(hierarchy) + "\n")
        file.write(f"MOTION\nFrames: {len(motion)}\nFrame Time: {1 / motion.fps:.9f}\n")
        np.savetxt(file, values[:, columns], fmt="%.6f")


def read_bvh(
    path: Path, rest_joints: ArrayLike, body: BodyKind = "embedded", betas: ArrayLike | None = None
) -> tuple[Motion, str]:
    """Reads a BVH file of any program onto a skeleton of ours; `skeletons.transfer` says how.

    Args:
        rest_joints: (24, 3) metres, of the skeleton to drive in its T-pose.
        body, betas: whose skeleton that is; the mean shape by default.

    Returns:
        The motion in camera space, its camera one for want of another, and what was found out about the file:
        its naming, its unit.

    Raises:
        InputError: the file is damaged, or its skeleton has no joints by names known here.
    """
    recording = parse_bvh(path)
    try:
        matched = transfer(
            recording.names, recording.parents, recording.rest(), *recording.posed(), rest_joints
        )
    except UnknownSkeleton as error:
        raise refusal(path, f"has a skeleton that cannot be mapped to SMPL's joints: {error}") from error
    if not (np.abs(matched.pelvis) <= FARTHEST).all():
        raise refusal(path, f"has somebody more than {FARTHEST:g} metres away")
    return motion_on(rest_joints, matched.poses, matched.pelvis, recording.fps, body, betas), matched.note


def _channels(motion: Motion, rest: Array) -> Array:
    """(T, 75): the pelvis's place, metres, and every joint's angles in degrees, by joint."""
    pelvis = motion.pelvis(rest[0]) @ HALF_TURN.T
    rotations = Rotation.from_rotvec(motion.poses.reshape(-1, 3).astype(np.float64)).as_matrix()
    rotations = rotations.reshape(len(motion), JOINT_COUNT, 3, 3)
    rotations[:, 0] = HALF_TURN @ rotations[:, 0]
    with warnings.catch_warnings():
        # Where the second angle is 90 degrees the other two are not unique; any pair is the same rotation.
        warnings.filterwarnings("ignore", message="Gimbal lock", category=UserWarning)
        angles = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_euler(_ORDER, degrees=True)
    steady = np.unwrap(angles.reshape(len(motion), -1), period=360, axis=0)
    return np.concatenate([pelvis, steady], axis=1)


def _hierarchy(rest: Array, parents: Sequence[int], order: list[int], joint: int = 0) -> list[str]:
    """The lines of a joint and those below it; `order` takes the joints as they come."""
    order.append(joint)
    root = parents[joint] < 0
    offset = np.zeros(3) if root else rest[joint] - rest[parents[joint]]
    channels = " ".join(f"{axis}rotation" for axis in _ORDER)
    channels = f"6 Xposition Yposition Zposition {channels}" if root else f"3 {channels}"
    lines = [f"OFFSET {_numbers(offset)}", f"CHANNELS {channels}"]
    children = [child for child, parent in enumerate(parents) if parent == joint]
    for child in children:
        lines += _hierarchy(rest, parents, order, child)
    if not children:
        lines += ["End Site", "{", f"  OFFSET {_numbers(_LAST_BONE * offset)}", "}"]
    head = f"{'ROOT' if root else 'JOINT'} {JOINT_NAMES[joint]}"
    return [head, "{", *(f"  {line}" for line in lines), "}"]


def _numbers(values: Array) -> str:
    return " ".join(f"{value:.6f}" for value in values)
