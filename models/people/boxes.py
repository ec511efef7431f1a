"""From numbered boxes, as a detector's own tracker gives them, to people followed through the clip.

Such trackers lose people who are hidden for a while and give them another number, or exchange numbers. So a
track ends where it would jump, and one that begins where another ended within a second goes on with it.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.people.tracking import FORBIDDEN, GAP_SECONDS, Circle, Detection, Reach, Track, lasting

Array = NDArray[np.float64]

VELOCITY_FRAMES = 5  # before somebody vanished, that tell where they were going
JOIN_REACH = 1.0  # radii from where somebody vanished, or from where they were going
SIZE_RATIO = 2.0  # between vanishing and coming back


def box_detection(box: Array, score: float) -> Detection:
    """A person in a box (x0, y0, x1, y1 in pixels), upright for all that a box tells."""
    low, high = box[:2], box[2:]
    radius = 0.5 * float((high - low).max())
    return Detection(Circle((low + high) / 2, np.array([0.0, -radius])), score, box)


def people_in_boxes(frames: Sequence[Mapping[int, tuple[Array, float]]], fps: float) -> list[Track]:
    """Everybody in a clip, most prominent first.

    Args:
        frames: for each of the T frames the box (4,) in pixels and the score of every number seen in it.
        fps: of the frames.

    Returns:
        Tracks whose detections have boxes; brief false alarms are left out.
    """
    numbered: dict[int, Track] = {}
    for frame, seen in enumerate(frames):
        for number, (box, score) in seen.items():
            numbered.setdefault(number, Track()).add(frame, box_detection(np.asarray(box, np.float64), score))
    pieces = [piece for track in numbered.values() for piece in _without_jumps(track, Reach(fps))]
    return lasting(_joined(pieces, GAP_SECONDS * fps), len(frames), fps)


def _without_jumps(track: Track, reach: Reach) -> list[Track]:
    """The track, cut where it goes from one person to another."""
    pieces = [Track()]
    for frame, detection in zip(track.frames, track.detections, strict=True):
        if pieces[-1].frames and reach.cost(pieces[-1], detection, frame) >= FORBIDDEN:
            pieces.append(Track())
        pieces[-1].add(frame, detection)
    return pieces


def _joined(pieces: Sequence[Track], gap: float) -> list[Track]:
    """Pieces that are one person made one track: every end with at most one beginning, the nearest."""
    cost = np.array([[_distance(before, after, gap) for after in pieces] for before in pieces])
    following = (
        {
            int(before): int(after)
            for before, after in zip(*linear_sum_assignment(cost), strict=True)
            if cost[before, after] < FORBIDDEN
        }
        if len(pieces)
        else {}
    )
    tracks = []
    for first in set(range(len(pieces))) - set(following.values()):
        whole, number = Track(), first
        while True:
            whole.frames += pieces[number].frames
            whole.detections += pieces[number].detections
            if number not in following:
                break
            number = following[number]
        tracks.append(whole)
    return tracks


def _distance(before: Track, after: Track, gap: float) -> float:
    """Radii between where somebody should be and where somebody appears; FORBIDDEN for two people."""
    frames = after.frames[0] - before.frames[-1]
    if not 0 < frames <= gap:
        return FORBIDDEN
    last, first = before.detections[-1].circle, after.detections[0].circle
    radius = float(np.median(before.radii[-VELOCITY_FRAMES:]))
    if abs(np.log(first.radius / radius)) >= np.log(SIZE_RATIO):
        return FORBIDDEN
    # Somebody who is out of sight may go on or stop: anywhere on that way is right.
    way = _velocity(before) * frames
    along = np.clip((first.hips - last.hips) @ way / max(float(way @ way), 1e-9), 0, 1)
    distance = float(np.hypot(*(first.hips - last.hips - along * way))) / radius
    return distance if distance <= JOIN_REACH else FORBIDDEN


def _velocity(track: Track) -> Array:
    """(2,) pixels a frame at the track's end: the median of the last steps."""
    recent = list(zip(track.frames, track.detections, strict=True))[-VELOCITY_FRAMES - 1 :]
    steps = [(b.circle.hips - a.circle.hips) / (j - i) for (i, a), (j, b) in pairwise(recent)]
    return np.asarray(np.median(steps, axis=0), np.float64) if steps else np.zeros(2)
