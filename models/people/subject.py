"""Looking closely at one person who has been followed through the clip: landmarks, silhouette, box."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from models.people.blazepose import LANDMARKS, BlazePose, Image, Observation
from models.people.landmarks import Landmarks
from models.people.tracking import Circle, Track

Array = NDArray[np.float64]

# The picture as it is and turned by so many degrees, and the mirror images of these. Where the passes
# disagree, they are wrong: that tells more than the visibility that the network gives.
TURNS = (0, -20, 20)
PASSES = 2 * len(TURNS)
TIGHTER = 0.92  # the landmarks are steadier on a crop a little tighter than the networks' own
SMOOTHING = 1.0  # frames, standard deviation; a crop that jumps makes the landmarks jump
ASTRAY = 0.5  # radii; landmarks whose hips lie further off are another person's
VISIBLE = 0.5
BOX_MARGIN = 0.1  # of the radius: landmarks lie inside the body
MIN_BOX = 4.0  # pixels


@dataclass(frozen=True)
class Look:
    """One frame of the person: an observation for each pass, None where that pass did not see them."""

    passes: tuple[Observation | None, ...]

    @property
    def seen(self) -> bool:
        return any(self.passes)

    def probability(self, height: int, width: int) -> NDArray[np.float32]:
        """(H, W) in [0, 1], that a pixel shows the person: the passes' mean; 0 where they are not seen."""
        seen = [o.probability for o in self.passes if o]
        return np.mean(seen, axis=0) if seen else np.zeros((height, width), np.float32)


@dataclass(frozen=True, eq=False)
class Subject:
    """What was seen of one person in T frames.

    Attributes:
        landmarks: of all passes; zeros where that pass did not see them.
        boxes: (T, 4) x0 y0 x1 y1 pixels around the person, inside the picture; interpolated where unseen.
        scores: (T,) mean visibility of the landmarks, 0 where not seen.
        valid: (T,) bool, where they were seen.
    """

    landmarks: Landmarks
    boxes: Array
    scores: Array
    valid: NDArray[np.bool_]


class SubjectRecorder:
    """Collects the looks at one person; keeps no pictures.

    Args:
        width, height: of the picture.
    """

    def __init__(self, width: int, height: int) -> None:
        self._size = np.array([width, height], np.float64)
        self._rows: list[list[tuple[Array, Array, Array] | None]] = []

    def add(self, look: Look) -> None:
        """Takes the next frame."""
        self._rows.append([(o.image, o.world, _box(o)) if o else None for o in look.passes])

    def finish(self, boxes: Array | None = None) -> Subject | None:
        """Everything seen; None if nothing was.

        Args:
            boxes: (T, 4) a detector's own, NaN where it saw nobody; they take the place of those around the
                landmarks, and where there is one the person was seen.
        """
        length = len(self._rows)
        shape = (PASSES, length, LANDMARKS, 3)
        image, world, valid = np.zeros(shape), np.zeros(shape), np.zeros(shape[:2], bool)
        around = np.full((length, 4), np.nan)
        for frame, row in enumerate(self._rows):
            for number, seen in enumerate(row):
                if seen:
                    image[number, frame], world[number, frame], valid[number, frame] = *seen[:2], True
            if any(row):
                around[frame] = np.mean([seen[2] for seen in row if seen], axis=0)
        boxes = around if boxes is None else np.where(np.isfinite(boxes), boxes, around)
        known = np.isfinite(boxes[:, 0])
        if not known.any():
            return None
        return Subject(
            landmarks=Landmarks(image, world, valid),
            boxes=self._steady(boxes, known),
            scores=image[..., 2].mean(-1).sum(0) / np.maximum(valid.sum(0), 1),
            valid=known,
        )

    def _steady(self, boxes: Array, valid: NDArray[np.bool_]) -> Array:
        """The boxes interpolated where the person was not seen, smoothed, and kept inside the picture."""
        known = np.flatnonzero(valid)
        frames = np.arange(len(valid))
        boxes = np.stack([np.interp(frames, known, side) for side in boxes[known].T], -1)
        boxes = gaussian_filter1d(boxes, SMOOTHING, axis=0, mode="nearest")
        low = np.clip(boxes[:, :2], 0, self._size - MIN_BOX)
        return np.concatenate([low, np.maximum(np.minimum(boxes[:, 2:], self._size), low + MIN_BOX)], -1)


def look_at(
    images: Iterable[Image],
    length: int,
    fps: float,
    subject: Track,
    others: Sequence[Track],
    network: Path | None = None,
) -> Iterator[Look]:
    """Looks at the subject in every frame, several times: the picture turned and mirrored.

    Args:
        images: the clip's frames, (H, W, 3) uint8 RGB.
        length: how many they are.
        fps: of the frames.
        subject: whom to look at.
        others: who else is there; what lies nearer to one of them is not taken for the subject.
        network: BlazePose's heavy landmark network; None for the one that mediapipe brings.

    Raises:
        InputError: the network is not the published one.
    """
    circles = _smoothed(subject.circles(length, fps))
    elsewhere = [track.circles(length, fps) for track in others]
    with BlazePose(network) as engine:
        for frame, (image, circle) in enumerate(zip(images, circles, strict=True)):
            if circle is None:
                yield Look((None,) * PASSES)
                continue
            near = [Circle(circle.hips, TIGHTER * _turned(circle.up, turn)) for turn in TURNS]
            others_here = [c for person in elsewhere if (c := person[frame]) is not None]
            seen = (engine.observe(image, c, mirrored) for c in near for mirrored in (False, True))
            yield Look(tuple(o if o and _belongs(o, circle, others_here) else None for o in seen))


def _turned(vector: Array, degrees: float) -> Array:
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]]) @ vector


def _smoothed(circles: Sequence[Circle | None]) -> list[Circle | None]:
    """The circles smoothed over time, each run of frames for itself."""
    smooth = list(circles)
    here = np.array([c is not None for c in circles], int)
    edges = np.flatnonzero(np.diff(here, prepend=0, append=0))
    for start, end in edges.reshape(-1, 2):
        run = [c for c in circles[start:end] if c]
        points = np.array([(*c.hips, *c.up) for c in run])
        points = gaussian_filter1d(points, SMOOTHING, axis=0, mode="nearest")
        smooth[start:end] = [Circle(p[:2], p[2:]) for p in points]
    return smooth


def _belongs(seen: Observation, circle: Circle, others: Sequence[Circle]) -> bool:
    distance = seen.circle.distance(circle)
    return distance <= ASTRAY * circle.radius and all(distance < seen.circle.distance(o) for o in others)


def _box(seen: Observation) -> Array:
    points = seen.image[seen.image[:, 2] >= VISIBLE, :2]
    points = points if len(points) else seen.image[:, :2]
    margin = BOX_MARGIN * seen.circle.radius
    low, high = points.min(0) - margin, points.max(0) + margin
    rows, columns = np.nonzero(seen.probability > 0.5)
    if len(rows):
        # Not beyond the person's circle: the network's masks have stray specks.
        reach = 1.2 * seen.circle.radius
        centre = seen.circle.hips
        low = np.minimum(low, np.maximum([columns.min(), rows.min()], centre - reach))
        high = np.maximum(high, np.minimum([columns.max() + 1, rows.max() + 1], centre + reach))
    return np.concatenate([low, high])
