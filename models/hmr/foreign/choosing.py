"""Which person of a file is the one that is followed, and where they are in the frames that were kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.body import JOINT_COUNT, BodyModel
from models.body.transfer import SMPL_STATURE, shape_of_stature
from models.cameras import scale_intrinsics
from models.hmr.cleaning import interpolated, interpolated_rotations
from models.hmr.foreign.people import Array, Person

MARGIN = 0.1  # of the larger side, that joints lie inside a person's box


@dataclass(frozen=True, eq=False)
class Chosen:
    """A person at the T frames kept.

    Attributes:
        person: who.
        overlap: of their box with the subject's, mean over the frames in which both are known.
        poses: (T, 72) axis-angle radians; between and beyond the frames known, interpolated and held.
        pelvis: (T, 3) metres in the space of the person's camera, likewise.
        known: (T,) bool, where the file has them.
    """

    person: Person
    overlap: float
    poses: Array
    pelvis: Array
    known: NDArray[np.bool_]


def choose(
    people: Sequence[Person],
    index: NDArray[np.int64],
    boxes: Array,
    seen: NDArray[np.bool_],
    size: tuple[float, float],
    body: BodyModel,
) -> Chosen | None:
    """The person whose joints lie best in the subject's boxes.

    Args:
        people: at least one.
        index: (T,) the frames kept, as indices into the pictures that the people's frames count.
        boxes: (T, 4) the subject's, x0 y0 x1 y1 pixels.
        seen: (T,) bool, where the subject is seen.
        size: width and height of the pictures that the boxes are in.
        body: for the lengths of bones.

    Returns:
        None where nobody has a frame that was kept.
    """
    candidates = [
        Chosen(person, _overlap(person, poses, pelvis, known & seen, boxes, size, body), poses, pelvis, known)
        for person in people
        for poses, pelvis, known in [_at(person, index)]
        if known.any()
    ]
    return max(candidates, key=lambda each: each.overlap * (each.known & seen).sum(), default=None)


def _at(person: Person, index: NDArray[np.int64]) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Poses and pelvises at frames (T,), and where the file has them."""
    first, last = int(min(person.frames[0], index[0])), int(max(person.frames[-1], index[-1]))
    known = np.zeros(last - first + 1, bool)
    known[person.frames - first] = True
    places = np.zeros((len(known), 3))
    places[known] = person.pelvis
    poses = np.zeros((len(known), 3 * JOINT_COUNT))
    poses[known] = person.poses
    for joint in range(JOINT_COUNT):
        part = slice(3 * joint, 3 * joint + 3)
        turns = interpolated_rotations(Rotation.from_rotvec(poses[:, part]), known)
        poses[:, part] = np.where(known[:, None], poses[:, part], turns.as_rotvec())
    rows = index - first
    return poses[rows], interpolated(places, known)[rows], known[rows]


def _overlap(
    person: Person,
    poses: Array,
    pelvis: Array,
    both: NDArray[np.bool_],
    boxes: Array,
    size: tuple[float, float],
    body: BodyModel,
) -> float:
    """Mean intersection over union of the joints' boxes with the subject's; 0 without a frame for it."""
    if not both.any():
        return 0.0
    shape = shape_of_stature(body, SMPL_STATURE)
    place = torch.from_numpy(pelvis[both]).to(shape) - body.shaped_joints(shape)[0]
    joints = body.articulate(torch.from_numpy(poses[both]).to(shape), place, shape)[1].double().numpy()
    K = scale_intrinsics(person.K, size[0] / person.width, size[1] / person.height)
    picture = joints @ K.T
    points = picture[..., :2] / np.maximum(picture[..., 2:], 1e-3)
    low, high = points.min(1), points.max(1)
    margin = MARGIN * (high - low).max(1, keepdims=True)
    low, high = np.clip(low - margin, 0, size), np.clip(high + margin, 0, size)
    here = boxes[both]
    common = np.prod(np.clip(np.minimum(high, here[:, 2:]) - np.maximum(low, here[:, :2]), 0, None), 1)
    union = np.prod(high - low, 1) + np.prod(here[:, 2:] - here[:, :2], 1) - common
    return float((common / np.maximum(union, 1e-6)).mean())
