"""Which way is up, judged by the person."""

import numpy as np
from numpy.typing import NDArray

from models.body.body import JOINT_NAMES
from models.body.motion import Motion

_UPRIGHT = 0.5  # cosine of the largest tilt of a camera that is believed
_TALLEST = 0.75  # quantile of the distance from ankles to head
_ANKLES = [JOINT_NAMES.index("left_ankle"), JOINT_NAMES.index("right_ankle")]
_HEAD = JOINT_NAMES.index("head")


def up_axis(motion: Motion) -> NDArray[np.float64]:
    """(3,) upwards in camera space: from the ankles to the head where the person stands tallest.

    The camera's tilt is not known, but who stretches mostly stands upright. The picture's own up serves where
    nobody was seen, or where nobody stands (on the head, say, or lying).
    """
    picture_up = np.array([0.0, -1.0, 0.0])
    if motion.joints is None or not motion.valid.any():
        return picture_up
    joints = motion.joints[motion.valid].astype(np.float64)
    reach = joints[:, _HEAD] - joints[:, _ANKLES].mean(axis=1)
    lengths = np.linalg.norm(reach, axis=1)
    mean = reach[lengths >= np.quantile(lengths, _TALLEST)].mean(axis=0)
    direction = np.asarray(mean / np.linalg.norm(mean))
    return direction if direction @ picture_up > _UPRIGHT else picture_up
