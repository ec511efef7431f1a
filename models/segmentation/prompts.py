"""What Segment Anything is told about the subject: where they are, points on them, points on other people."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Of BlazePose's 33: those well inside a body, and the bones between them.
NOSE, SHOULDERS, ELBOWS, WRISTS = (0,), (11, 12), (13, 14), (15, 16)
HIPS, KNEES, ANKLES = (23, 24), (25, 26), (27, 28)
INSIDE = (*NOSE, *SHOULDERS, *ELBOWS, *WRISTS, *HIPS, *KNEES, *ANKLES)
BONES = (
    (0, 11), (0, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (11, 24),
    (12, 23), (23, 24), (23, 25), (25, 27), (24, 26), (26, 28),
)  # fmt: skip
VISIBLE = 0.6
# Shares of the longer side of the subject's box
SPREAD = 0.02  # landmarks on which the passes differ by more may lie beside the body
BODY = 0.08  # a point nearer to the subject's bones is on the subject, whoever stands behind
ON_OTHERS = (0.0, 0.4)  # from another person's hips towards the top of their circle


@dataclass(frozen=True, eq=False)
class Prompt:
    """One frame's prompt.

    Attributes:
        box: (4,) x0 y0 x1 y1 around the subject, pixels of the picture, centres at +0.5.
        points: (N, 2) x y, likewise.
        on_subject: (N,) bool; the other points lie on other people.
    """

    box: Array
    points: Array
    on_subject: NDArray[np.bool_]


def make_prompt(box: Array, landmarks: Array, seen: NDArray[np.bool_], others: Array) -> Prompt:
    """The prompt for one frame.

    Args:
        box: (4,) x0 y0 x1 y1 around the subject, pixels.
        landmarks: (P, 33, 3) BlazePose's of P passes: x, y in pixels and visibility.
        seen: (P,) bool, the passes that saw the subject.
        others: (M, 2, 2) of the other people in the frame: the hips' middle, and the vector from there to
            the top of the circle around the person; pixels.
    """
    size = float(max(box[2] - box[0], box[3] - box[1]))
    own, bones = _on_subject(landmarks[seen], box, size) if seen.any() else (np.empty((0, 2)), [])
    theirs = _on_others(others, box, bones, BODY * size)
    return Prompt(
        box=box,
        points=np.concatenate([own, theirs]),
        on_subject=np.arange(len(own) + len(theirs)) < len(own),
    )


def _on_subject(landmarks: Array, box: Array, size: float) -> tuple[Array, list[tuple[Array, Array]]]:
    """The landmarks that all passes see at one place, and the bones whose ends were seen."""
    middle = landmarks.mean(0)
    visible = middle[:, 2] >= VISIBLE
    spread = np.sqrt(landmarks[:, :, :2].var(0).sum(-1))
    inside = ((middle[:, :2] >= box[:2]) & (middle[:, :2] <= box[2:])).all(-1)
    sure = visible & inside & (spread <= SPREAD * size)
    points = middle[[index for index in INSIDE if sure[index]], :2]
    bones = [(middle[a, :2], middle[b, :2]) for a, b in BONES if visible[a] and visible[b]]
    return points, bones


def _on_others(others: Array, box: Array, bones: Sequence[tuple[Array, Array]], distance: float) -> Array:
    """Points on people whose circle reaches into the box; none where the subject's bones are unknown, or run
    past there."""
    if not bones:
        return np.empty((0, 2))
    points = [
        hips + share * up
        for hips, up in others
        if _reaches(hips, float(np.hypot(*up)), box)
        for share in ON_OTHERS
    ]
    clear = [p for p in points if min(_distance(p, a, b) for a, b in bones) > distance]
    return np.array(clear).reshape(-1, 2)


def _reaches(centre: Array, radius: float, box: Array) -> bool:
    nearest = np.clip(centre, box[:2], box[2:])
    return float(np.hypot(*(nearest - centre))) < radius


def _distance(point: Array, a: Array, b: Array) -> float:
    """From a point to the segment between a and b."""
    along = b - a
    share = np.clip((point - a) @ along / max(float(along @ along), 1e-9), 0, 1)
    return float(np.hypot(*(a + share * along - point)))
