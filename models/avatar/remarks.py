"""From which sides a clip shows the person, and whether there is any motion in it that could tell depth."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.floating]

ONE_SIDED = math.radians(90)  # a smaller range of headings shows the person from one side only
STILL = (
    0.02  # metres: standard deviation of the joints over the clip, their mean, of somebody who stands still
)
MUCH_UNSEEN = 0.25  # of the surface, worth a word
SIDES = ("the front", "the right", "the back", "the left")  # of the person, by rising heading


def headings(poses: Array, pelvis: Array) -> NDArray[np.float64]:
    """How far the person is turned away from the camera, (T,) radians: 0 shows the front, pi the back.

    Args:
        poses: (T,72) in camera space; pelvis: (T,3) metres.
    """
    forward = Rotation.from_rotvec(poses[:, :3]).apply([0, 0, 1])
    away = np.arctan2(forward[:, 0], -forward[:, 2]) - np.arctan2(-pelvis[:, 0], pelvis[:, 2])
    return np.asarray((away + math.pi) % (2 * math.pi) - math.pi)


def only_side(heading: NDArray[np.float64]) -> str | None:
    """The side of `SIDES` that all headings (T,) look from, or None where they are of several."""
    rising = np.sort(heading)
    gaps = np.diff(np.append(rising, rising[0] + 2 * math.pi))
    widest = int(gaps.argmax())
    spread = 2 * math.pi - gaps[widest]
    if spread >= ONE_SIDED:
        return None
    middle = rising[(widest + 1) % len(rising)] + spread / 2
    return SIDES[round(middle / (math.pi / 2)) % 4]


def stands_still(joints: Array) -> bool:
    """Whether joints (T,24,3), metres, keep their places over the clip."""
    return float(np.linalg.norm(joints.std(axis=0), axis=-1).mean()) < STILL


def remarks(poses: Array, joints: Array, unseen: float) -> list[str]:
    """What the sides that a clip shows leave to guessing, in plain words.

    Args:
        poses: (T,72), joints: (T,24,3) of the frames that show the person, camera space.
        unseen: share of the avatar's surface that was hardly in view.
    """
    side, found = only_side(headings(poses, joints[:, 0])), []
    if side is not None:
        found.append(
            f"The person is seen only from {side}: the colours of the other sides ({unseen:.0%} of the "
            "surface) and how far limbs reach towards the camera are guesses. Let them turn once around."
        )
    elif unseen > MUCH_UNSEEN:
        found.append(
            f"{unseen:.0%} of the body's surface was hardly in view, and its colours are guesses. Let the "
            "person turn once around."
        )
    if stands_still(joints):
        found.append(
            "The person stands still: every frame says the same, and an error that all of them share cannot "
            "be found. Let them move."
        )
    return found
