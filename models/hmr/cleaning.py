"""Estimates of single frames made into a motion: wrong frames replaced, jitter smoothed, fast motion kept.

Wrong frames are found as those that a cheaper path leaves out. A path through the frames costs the squared
jump from each of its frames to the next, divided by the frames between them, and a price for every frame that
it leaves out. Steady motion costs the same with or without the frames on its way, however fast it is; an
estimate that jumps away and back costs both jumps, and so do several in a row.

Smoothing is that of Whittaker (1923) and Henderson (1924): least squares to the estimates and to zero second
differences, here of rotation matrices, which are then made rotations again.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation, Slerp

from models.body.skinning import nearest_rotation

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]

JUMP = 0.8
"""Radians; a joint that turns further than this and back within two frames is taken for wrong."""
DEPTH_JUMP, SIDE_JUMP = 0.15, 0.15
"""The same of the pelvis: of the logarithm of its distance, and of its place divided by that distance."""
SPARSE = 15.0
"""Frames a second below which true motion jumps further from frame to frame, and these bounds grow."""
LONGEST_GAP = 1.0
"""Seconds of frames that may be left out in a row."""
CUTOFF, DEPTH_CUTOFF = 5.0, 1.5
"""Hz, of which half the amplitude is left. Arms wave at 3; nobody comes and goes at 1.5, but estimates do."""
STENCIL = (1, -2, 1)  # of second differences


def clean_rotations(rotations: Array, known: Flags, fps: float) -> tuple[Array, Flags]:
    """Joint rotations of a clip, each joint by itself.

    Args:
        rotations: (T, J, 3, 3); anything where not known.
        known: (T,) the frames with an estimate, one at least.
        fps: frames a second, evenly spaced.

    Returns:
        The rotations (T, J, 3, 3), those that were not known or wrong interpolated, before the first and
        after the last one held; and (T, J), which known ones were taken for wrong.
    """
    rotations = np.where(known[:, None, None, None], rotations, np.eye(3))
    quaternions = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat().reshape(*rotations.shape[:2], 4)

    def turns(before: Indices, here: int) -> Array:
        cosines = np.abs((quaternions[before] * quaternions[here]).sum(-1))
        return 2 * np.arccos(np.minimum(cosines, 1))

    kept = kept_frames(turns, known, 2 * _widened(JUMP, fps) ** 2, _longest(fps))
    cleaned = np.empty(rotations.shape)
    for joint in range(rotations.shape[1]):
        between = interpolated_rotations(Rotation.from_quat(quaternions[:, joint]), kept[:, joint])
        smoothed = smooth(between.as_matrix().reshape(-1, 9), CUTOFF, fps)
        cleaned[:, joint] = nearest_rotation(torch.from_numpy(smoothed.reshape(-1, 3, 3))).numpy()
    return cleaned, known[:, None] & ~kept


def clean_positions(points: Array, known: Flags, fps: float) -> tuple[Array, Flags]:
    """A point in front of the camera, its distance and its direction each by themselves.

    Args:
        points: (T, 3) metres in camera space, z above 0 where known.
        known: (T,) the frames with an estimate, one at least.
        fps: frames a second, evenly spaced.

    Returns:
        The points (T, 3), as `clean_rotations` does it; and (T,), which known ones were taken for wrong.
    """
    points = np.where(known[:, None], points, 1)
    places = np.concatenate([points[:, :2] / points[:, 2:], np.log(points[:, 2:])], -1)
    scaled = places / (SIDE_JUMP, SIDE_JUMP, DEPTH_JUMP)

    def distances(before: Indices, here: int) -> Array:
        return np.linalg.norm(scaled[before] - scaled[here], axis=-1, keepdims=True)

    kept = kept_frames(distances, known, 2 * _widened(1.0, fps) ** 2, _longest(fps))[:, 0]
    between = interpolated(places, kept)
    aside, depth = smooth(between[:, :2], CUTOFF, fps), np.exp(smooth(between[:, 2:], DEPTH_CUTOFF, fps))
    return np.concatenate([aside * depth, depth], -1), known & ~kept


def kept_frames(
    distances: Callable[[Indices, int], Array], known: Flags, price: float, longest: int
) -> Flags:
    """The frames that the cheapest path goes through, for S sequences at once (dynamic programming).

    Args:
        distances: (N, S) of N frames from a later one.
        known: (T,) the frames that a path may go through, one at least.
        price: of a known frame left out; the others cost nothing.
        longest: known frames that a path may leave out in a row, but at its ends.

    Returns:
        (T, S) bool.
    """
    frames = np.flatnonzero(known)
    start = price * np.arange(len(frames), dtype=np.float64)  # for leaving out all before
    best = [np.full(distances(frames[:1], frames[0]).shape[1], start[0])]
    origins = [np.full(len(best[0]), -1)]
    for here in range(1, len(frames)):
        before = np.arange(max(0, here - longest - 1), here)
        gaps = (frames[here] - frames[before])[:, None]
        jumps = distances(frames[before], frames[here]) ** 2 / gaps
        costs = np.stack(best[before[0] :]) + jumps + (price * (here - 1 - before))[:, None]
        cheapest = costs.argmin(0)
        least = np.take_along_axis(costs, cheapest[None], 0)[0]
        best.append(np.minimum(least, start[here]))
        origins.append(np.where(least < start[here], before[cheapest], -1))
    kept = np.zeros((len(known), len(best[0])), bool)
    ends = (np.stack(best) + start[::-1, None]).argmin(0)
    for sequence, end in enumerate(ends):
        while end >= 0:
            kept[frames[end], sequence] = True
            end = origins[end][sequence]
    return kept


def interpolated(values: Array, known: Flags) -> Array:
    """(T, D) values, linear between the known frames, held before the first and after the last."""
    frames = np.arange(len(known))
    return np.stack([np.interp(frames, frames[known], column) for column in values[known].T], -1)


def interpolated_rotations(rotations: Rotation, known: Flags) -> Rotation:
    """T rotations, on the shortest way between the known frames, held before the first and after the last."""
    frames = np.flatnonzero(known)
    if len(frames) == 1:
        return rotations[np.full(len(known), frames[0])]
    return Slerp(frames, rotations[frames])(np.clip(np.arange(len(known)), frames[0], frames[-1]))


def smooth(values: Array, cutoff: float, fps: float) -> Array:
    """(T, D) values without what is faster than the cutoff, of which half the amplitude stays (Hz)."""
    count = len(values)
    if count < 3 or cutoff >= fps / 2:
        return values
    # A wave's second differences are so many times its amplitude.
    ratio = 2 - 2 * np.cos(2 * np.pi * cutoff / fps)
    bands = _squared_second_differences(count) / ratio**2
    bands[-1] += 1
    return np.asarray(solveh_banded(bands, values))


def _squared_second_differences(count: int) -> Array:
    """The upper bands (3, T) of D'D, D the second differences of T values, as `solveh_banded` takes them."""
    bands = np.zeros((3, count))
    for offset in range(3):
        for first in range(3 - offset):
            product = STENCIL[first] * STENCIL[first + offset]
            bands[2 - offset, first + offset : first + offset + count - 2] += product
    return bands


def _widened(bound: float, fps: float) -> float:
    return bound * max(1.0, SPARSE / fps)


def _longest(fps: float) -> int:
    return max(1, round(LONGEST_GAP * fps))
