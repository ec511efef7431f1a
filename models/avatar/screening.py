"""Which frames cannot be believed before anything is fitted: a mask of somebody else, a pose somewhere else.

Where the body's box and the mask's lie apart in some frames, one of the two has jumped. A person moves on
steadily, so the one that leaves its own track over the other frames is the one that is wrong.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

APART = 0.55  # of the clip's typical overlap: below it, box and mask do not speak of the same place
MOST = 0.5  # of the frames: where more are apart, no track is left to judge them by


class Screening(NamedTuple):
    """Frames (rising) with a mask of somebody else, and those with an initial pose that is somewhere else."""

    strangers: list[int]
    misplaced: list[int]


def screened(body: Array, mask: Array) -> Screening:
    """Tells strangers' masks and misplaced poses by the boxes of body and mask.

    Args:
        body: (T,4) boxes x0 y0 x1 y1 of the projected body, pixels, placed over the masks as a whole.
        mask: (T,4) boxes of the masks, NaN where there is none.
    """
    overlap = overlaps(body, mask)
    seen = np.flatnonzero(np.isfinite(overlap))
    if not len(seen):
        return Screening([], [])
    apart = seen[overlap[seen] < APART * np.median(overlap[seen])]
    fine = np.setdiff1d(seen, apart)
    if not len(apart) or len(apart) > MOST * len(seen):
        return Screening([], [])
    on_track = [overlaps(boxes[apart], _between(boxes, fine, apart)) for boxes in (mask, body)]
    strange = on_track[0] < on_track[1]
    return Screening(apart[strange].tolist(), apart[~strange].tolist())


def overlaps(first: Array, second: Array) -> Array:
    """Intersection over union (T,) of boxes (T,4); NaN where one is unknown."""
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    common = np.maximum(high - low, 0).prod(1)
    areas = sum((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (first, second))
    return np.asarray(common / np.maximum(areas - common, 1e-9))


def _between(boxes: Array, known: NDArray[np.int64], wanted: NDArray[np.int64]) -> Array:
    """The boxes (n,4) at the frames `wanted`, on the straight way between those at the frames `known`."""
    return np.stack([np.interp(wanted, known, boxes[known, side]) for side in range(4)], axis=1)


def in_words(frames: list[int]) -> str:
    """ "frame 3", "frames 3 to 7 and 12": rising frame numbers as a person would say them."""
    runs: list[list[int]] = []
    for frame in frames:
        if runs and frame == runs[-1][-1] + 1:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    parts = []
    for run in runs:
        parts += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(frame) for frame in run]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"frame{'' if len(frames) == 1 else 's'} {listed}"
