"""Skeletons of other programs: which of their joints are SMPL's, and their motion on a body of ours."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from models.body.body import JOINT_NAMES, PARENTS

Array = NDArray[np.float64]

# What each family calls SMPL's joints, without case, side and punctuation; the preferred name first.
_FAMILIES: dict[str, dict[str, str]] = {
    "SMPL": {
        "pelvis": "pelvis hips hip root", "hip": "hip", "knee": "knee", "ankle": "ankle", "foot": "foot toe",
        "collar": "collar collarbone clavicle", "shoulder": "shoulder", "elbow": "elbow", "wrist": "wrist",
        "hand": "hand",
    },
    "Mixamo or CMU": {
        "pelvis": "hips hip", "hip": "upleg", "knee": "leg", "ankle": "foot", "foot": "toebase toe toes",
        "collar": "shoulder", "shoulder": "arm", "elbow": "forearm", "wrist": "hand",
    },
    "Biped": {
        "pelvis": "pelvis hips", "hip": "thigh", "knee": "calf", "ankle": "foot", "foot": "toe0 toe ball",
        "collar": "clavicle", "shoulder": "upperarm", "elbow": "forearm lowerarm", "wrist": "hand",
    },
    "Poser": {
        "pelvis": "hip hips pelvis", "hip": "thigh", "knee": "shin", "ankle": "foot", "foot": "toe",
        "collar": "collar shoulder", "shoulder": "shldr upperarm", "elbow": "forearm", "wrist": "hand",
    },
    "Unity": {
        "pelvis": "hips", "hip": "upperleg", "knee": "lowerleg", "ankle": "foot", "foot": "toes toebase",
        "collar": "shoulder", "shoulder": "upperarm", "elbow": "lowerarm", "wrist": "hand",
    },
}  # fmt: skip
_PREFIXES = re.compile(r"^(mixamorig\d*|bip\d+|valvebiped(bip\d+)?|character\d*|[mf]avg)")
_NEEDED = tuple(
    f"{side}_{part}"
    for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    for side in ("left", "right")
)
# Limbs hang or point differently in the rest poses of others: joint, and the one that its bone leads to.
_BONES = {
    f"{side}_{joint}": f"{side}_{next_joint}"
    for side in ("left", "right")
    for joint, next_joint in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
}
_ALIKE = {f"{side}_{end}": f"{side}_elbow" for side in ("left", "right") for end in ("wrist", "hand")}
_STRAIGHT = 0.95  # cosine within which a direction is taken for the axis beside it
_UNITS = {"metres": 1.0, "centimetres": 100.0, "inches": 39.37, "millimetres": 1000.0}

_Y_UP = np.diag([1.0, -1.0, -1.0])  # x right, y up, z towards the viewer -> camera space
_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # x right, y away, z up -> camera space


class UnknownSkeleton(ValueError):
    """Joints that no family's names explain."""


@dataclass(frozen=True, eq=False)
class Matched:
    """A motion on SMPL's joints.

    Attributes:
        poses: (T, 72) axis-angle, the root's in camera space.
        pelvis: (T, 3) metres, camera space.
        note: what was found out, for the user.
    """

    poses: Array
    pelvis: Array
    note: str


def transfer(
    names: Sequence[str],
    parents: Sequence[int],
    rest: Array,
    places: Array,
    turns: Array,
    rest_joints: ArrayLike,
) -> Matched:
    """Moves a skeleton's motion to SMPL's 24 joints, on a body of its own proportions.

    Limbs point where the source's do: a joint turns as its counterpart does, after the turn between the two
    rest poses' bones. The trunk, head and feet are taken to stand upright in both rest poses. The middle of
    the hips is where the source's is, all lengths scaled by the legs'. Joints without counterpart keep their
    rest angle.

    Args:
        names, parents: of the source's J joints.
        rest: (J, 3) its rest pose, in its own unit. Which of its axes points up, and where it faces, is
            found from the hips and shoulders; its world is Y up, or Z up where the skeleton stands along Z.
        places, turns: (T, J, 3) and (T, J, 3, 3) of the joints in its world.
        rest_joints: (24, 3) metres, the body's T-pose, Y up, facing +Z.

    Raises:
        UnknownSkeleton: joints are missing that are needed, or the skeleton has no extent.
    """
    found, family = match_joints(names, parents)
    own = {name: np.asarray(rest_joints, np.float64)[j] for j, name in enumerate(JOINT_NAMES)}
    theirs = {name: rest[j] for name, j in found.items()}
    legs = [_leg(joints) for joints in (own, theirs)]
    if not min(legs) > 0 or any(
        np.allclose(theirs[joint], theirs[end], atol=1e-6 * legs[1]) for joint, end in _BONES.items()
    ):
        raise UnknownSkeleton("a leg or an arm of the rest pose has no length")
    between = _frame(theirs) @ _frame(own).T
    world = _to_camera(_frame(theirs)[:, 1], turns[:, found["pelvis"]])
    orientations = _orientations(found, own, theirs, between, world @ turns)
    scale = legs[0] / legs[1]
    middle = scale * places[:, [found["left_hip"], found["right_hip"]]].mean(1) @ world.T
    above = own["pelvis"] - (own["left_hip"] + own["right_hip"]) / 2
    unit = min(_UNITS, key=lambda name: abs(np.log(_UNITS[name] * scale)))
    height = f"spanning {_extent(rest) * scale:.2f} m"
    note = f"{len(names)} joints, named as in {family} and {height}; taken as {unit}"
    return Matched(_local(orientations), middle + orientations[:, 0] @ above, note)


def match_joints(names: Sequence[str], parents: Sequence[int]) -> tuple[dict[str, int], str]:
    """The index of the joint behind each of SMPL's names that has one, and the family whose names fit best.

    Raises:
        UnknownSkeleton: limbs are missing.
    """
    plain = _plain(names)
    candidates = {family: _named(plain, parts) for family, parts in _FAMILIES.items()}
    family = max(candidates, key=lambda name: len(candidates[name]))
    found = candidates[family]
    if missing := [name for name in _NEEDED if name not in found]:
        some = ", ".join(names[:6])
        raise UnknownSkeleton(f"no joint was found for {', '.join(missing[:6])} among {some} ...")
    lines = {name: _line(found[name], parents) for name in ("left_hip", "right_hip", "left_shoulder")}
    found.setdefault("pelvis", _meeting(lines["left_hip"], lines["right_hip"]))
    chest = _meeting(lines["left_shoulder"], _line(found["right_shoulder"], parents))
    spine = _between(chest, found["pelvis"], parents)
    for name, joint in zip(*_spread(spine), strict=True):
        found[name] = joint
    if "head" in found:
        neck = _between(found["head"], chest, parents)[:-1]
        if neck and "neck" not in found:
            found["neck"] = neck[0]
    return found, family


def _plain(names: Sequence[str]) -> list[str]:
    """Names without case, namespace, punctuation and what all of them begin with."""
    plain = [re.sub(r"[^a-z0-9]", "", name.rsplit(":", 1)[-1].lower()) for name in names]
    plain = [_PREFIXES.sub("", name) for name in plain]
    prefix = commonprefix([name for name in plain if name])  # noqa: RUF071 - letters, not folders
    return [name.removeprefix(prefix) for name in plain]


def _named(plain: Sequence[str], parts: dict[str, str]) -> dict[str, int]:
    """SMPL's names and the joints behind them."""
    places = {name: joint for joint, name in reversed(list(enumerate(plain)))}
    found = {}
    for name in JOINT_NAMES:
        side, _, part = name.rpartition("_")
        ways = [way for called in parts.get(part, part).split() for way in _sided(called, side)]
        joint = next((places[way] for way in ways if way in places), None)
        if joint is not None and not part.startswith("spine"):
            found[name] = joint
    return found


def _sided(called: str, side: str) -> list[str]:
    """How a part of one side may be written."""
    if not side:
        return [called]
    return [f"{side}{called}", f"{side[0]}{called}", f"{called}{side}", f"{called}{side[0]}"]


def _line(joint: int, parents: Sequence[int]) -> list[int]:
    """A joint and all above it, upwards to the root."""
    line = []
    while joint >= 0:
        line.append(joint)
        joint = parents[joint]
    return line


def _meeting(first: list[int], second: list[int]) -> int:
    """The lowest joint above both."""
    return next(joint for joint in first if joint in second)


def _between(joint: int, above: int, parents: Sequence[int]) -> list[int]:
    """The joints from below `above` down to `joint`; none if that is not below it."""
    line = _line(joint, parents)
    return line[: line.index(above)][::-1] if above in line else []


def _spread(spine: list[int]) -> tuple[list[str], list[int]]:
    """SMPL's three joints of the spine and which of the source's they are; the topmost carries the chest."""
    if len(spine) <= 2:
        names = [["spine2"], ["spine1", "spine3"]][len(spine) - 1] if spine else []
        return names, spine
    chosen = np.linspace(0, len(spine) - 1, 3).round().astype(int)
    return ["spine1", "spine2", "spine3"], [spine[i] for i in chosen]


def _leg(joints: dict[str, Array]) -> float:
    """Mean length of both legs, hip to ankle along the bones."""
    bones = [
        joints[f"{side}_{end}"] - joints[f"{side}_{start}"]
        for side in ("left", "right")
        for start, end in (("hip", "knee"), ("knee", "ankle"))
    ]
    return float(np.linalg.norm(bones, axis=1).sum() / 2)


def _extent(rest: Array) -> float:
    """The rest pose's largest dimension, mostly the height."""
    return float(np.ptp(rest, axis=0).max())


def _frame(joints: dict[str, Array]) -> Array:
    """(3, 3) whose columns are the rest pose's left, up and forward."""
    hips = joints["left_hip"] - joints["right_hip"]
    rise = joints["left_shoulder"] + joints["right_shoulder"] - joints["left_hip"] - joints["right_hip"]
    up = np.zeros(3)
    axis = np.abs(rise).argmax()
    up[axis] = np.sign(rise[axis])
    left = hips - (hips @ up) * up
    if not np.linalg.norm(left) > 0:
        raise UnknownSkeleton("the hips of the rest pose are in one place")
    left = left / np.linalg.norm(left)
    if np.abs(left).max() > _STRAIGHT:
        left = np.round(left)
    return np.stack([left, up, np.cross(left, up)], axis=1)


def _to_camera(up: Array, pelvis_turns: Array) -> Array:
    """(3, 3) from the source's world to camera space."""
    risen = (pelvis_turns @ up).mean(0)
    z_up = up[2] != 0 and abs(risen[2]) > abs(risen[1])
    return _Z_UP if z_up else _Y_UP


def _orientations(
    found: dict[str, int], own: dict[str, Array], theirs: dict[str, Array], between: Array, turns: Array
) -> Array:
    """(T, 24, 3, 3) of SMPL's joints in camera space.

    Args:
        between: (3, 3) from our rest pose's axes to theirs.
        turns: (T, J, 3, 3) of their joints in camera space.
    """
    bends = {
        joint: _shortest(between @ (own[end] - own[joint]), theirs[end] - theirs[joint])
        for joint, end in _BONES.items()
    }
    result = np.empty((len(turns), len(JOINT_NAMES), 3, 3))
    for joint, name in enumerate(JOINT_NAMES):
        if name not in found:
            result[:, joint] = result[:, PARENTS[joint]]
            continue
        bend = bends.get(_ALIKE.get(name, name), np.eye(3))
        result[:, joint] = turns[:, found[name]] @ bend @ between
    return result


def _shortest(start: Array, end: Array) -> Array:
    """(3, 3) the least rotation that takes one direction to another."""
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis, cosine = np.cross(start, end), float(start @ end)
    length = np.linalg.norm(axis)
    if length < 1e-12:
        if cosine > 0:
            return np.eye(3)
        axis = np.cross(start, np.eye(3)[np.abs(start).argmin()])
        return np.asarray(Rotation.from_rotvec(np.pi * axis / np.linalg.norm(axis)).as_matrix())
    return np.asarray(Rotation.from_rotvec(np.arctan2(length, cosine) * axis / length).as_matrix())


def _local(orientations: Array) -> Array:
    """(T, 72) axis-angle relative to the parents."""
    local = orientations.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            local[:, joint] = orientations[:, parent].transpose(0, 2, 1) @ orientations[:, joint]
    return np.asarray(Rotation.from_matrix(local.reshape(-1, 3, 3)).as_rotvec()).reshape(len(local), -1)
