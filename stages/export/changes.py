"""What the optimisation did to the motion: every joint's turn, and the way over the floor."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.avatar.remarks import SIDES, headings
from models.body import JOINT_NAMES, Motion
from models.body.posture import up_axis
from stages.export.clip import Clip

Array = NDArray[np.float64]


@dataclass(frozen=True)
class JointChange:
    """One joint, over the frames that show the person.

    Attributes:
        mean, largest: degrees between its rotation before and after, in its parent's frame; of the pelvis in
            camera space.
        largest_frame: where it turned most.
        moved: mean distance in mm between its places before and after, both pelvises at the origin; None
            where joints are not known.
    """

    name: str
    mean: float
    largest: float
    largest_frame: int
    moved: float | None


@dataclass(frozen=True, eq=False)
class FloorPath:
    """The pelvis from above, before and after: (T, 2) metres to the camera's right and away from it; NaN in
    frames without the person."""

    before: Array
    after: Array


def joint_changes(clip: Clip) -> Sequence[JointChange]:
    """The 24 joints in the body's order; nothing where nobody was seen."""
    if not len(clip.seen):
        return []
    first, second = (_rotations(motion, clip.seen) for motion in (clip.initial, clip.refined))
    degrees = np.degrees((first.inv() * second).magnitude()).reshape(len(clip.seen), len(JOINT_NAMES))
    moved = _moved(clip)
    return [
        JointChange(
            name=name,
            mean=float(degrees[:, joint].mean()),
            largest=float(degrees[:, joint].max()),
            largest_frame=int(clip.seen[degrees[:, joint].argmax()]),
            moved=None if moved is None else float(moved[joint]),
        )
        for joint, name in enumerate(JOINT_NAMES)
    ]


def path_from_above(clip: Clip) -> FloorPath:
    """The pelvis' way over the floor, seen along the body's mean upward direction."""
    up = up_axis(clip.refined)
    away = np.array([0.0, 0, 1]) - up[2] * up
    away /= np.linalg.norm(away)
    floor = np.stack([np.cross(-up, away), away], axis=1)
    before, after = (np.full((len(clip.frames), 2), np.nan) for _ in range(2))
    before[clip.seen] = clip.pelvises(clip.initial)[clip.seen] @ floor
    after[clip.seen] = clip.pelvises(clip.refined)[clip.seen] @ floor
    return FloorPath(before, after)


def sides_seen(clip: Clip) -> dict[str, int]:
    """In how many frames the camera looks at the person from each of `models.avatar.remarks.SIDES`."""
    heading = headings(clip.refined.poses[clip.seen], clip.pelvises(clip.refined)[clip.seen])
    quarter = np.round(heading / (np.pi / 2)).astype(int) % len(SIDES)
    return {side: int((quarter == number).sum()) for number, side in enumerate(SIDES)}


def _rotations(motion: Motion, frames: NDArray[np.intp]) -> Rotation:
    return Rotation.from_rotvec(motion.poses[frames].reshape(-1, 3))


def _moved(clip: Clip) -> Array | None:
    """(24,) mean distances in mm."""
    if clip.initial.joints is None or clip.refined.joints is None:
        return None
    before, after = (
        joints[clip.seen] - joints[clip.seen][:, :1] for joints in (clip.initial.joints, clip.refined.joints)
    )
    return np.asarray(1000 * np.linalg.norm(after - before, axis=-1).mean(axis=0), np.float64)
