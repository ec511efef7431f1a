"""From people found picture by picture to people followed through the clip.

A person is a circle here: centre between the hips, radius about half the standing height. Hips move
smoothly and do not change with the limbs' pose, as boxes do.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[np.float64]

GAP_SECONDS = 1.0  # a person missed for longer is a new track
HIPS_STEP = 0.4  # radii a frame (a fifth of the body's height); a longer step is another person
HIPS_STEP_FPS = 15.0  # below this frame rate a step may be longer
STEP_LIMIT = 0.8  # radii, however long the gap
START_SCORE = 0.6  # a less sure detection may continue a track but not start one
DETECT_SECONDS = 0.3  # a newcomer is seen within this time
MIN_FRAMES, MIN_SECONDS = 3, 0.5  # a person seen more briefly is a false alarm
FORBIDDEN = 1e6


@dataclass(frozen=True)
class Circle:
    """The circle around a whole person.

    Attributes:
        hips: (2,) its centre, between the hips; pixels.
        up: (2,) from the centre to the rim, along the person's upward direction; pixels.
    """

    hips: Array
    up: Array

    @property
    def radius(self) -> float:
        """Pixels; about half a standing person's height."""
        return float(np.hypot(*self.up))

    def distance(self, other: "Circle") -> float:
        """Pixels from centre to centre."""
        return float(np.hypot(*(self.hips - other.hips)))


@dataclass(frozen=True)
class Detection:
    """A person found.

    Attributes:
        circle: where.
        score: how surely, 0 to 1.
        box: (4,) x0 y0 x1 y1 around what is seen of them, pixels; None where the detector gives none.
    """

    circle: Circle
    score: float
    box: Array | None = None


@dataclass
class Track:
    """One person through the clip.

    Attributes:
        frames: where they were found, increasing.
        detections: the findings, one for each of `frames`.
    """

    frames: list[int] = field(default_factory=list)
    detections: list[Detection] = field(default_factory=list)

    def add(self, frame: int, detection: Detection) -> None:
        self.frames.append(frame)
        self.detections.append(detection)

    @property
    def radii(self) -> Array:
        """(N,) pixels, one for each of `frames`."""
        return np.array([d.circle.radius for d in self.detections])

    @property
    def scores(self) -> Array:
        """(N,) one for each of `frames`."""
        return np.array([d.score for d in self.detections])

    @property
    def prominence(self) -> float:
        """Sum over the frames of radius times score: long, large and sure beats short, small and doubtful."""
        return float((self.radii * self.scores).sum())

    def expected(self, frame: int) -> Circle:
        """Where the person should be in a later frame: half the last step's velocity carried on."""
        last = self.detections[-1].circle
        scale = float(np.median(self.radii[-5:])) / last.radius
        hips = last.hips
        if len(self.frames) > 1:
            velocity = (hips - self.detections[-2].circle.hips) / (self.frames[-1] - self.frames[-2])
            hips = hips + 0.5 * velocity * min(frame - self.frames[-1], 2)
        return Circle(hips, last.up * scale)

    def circles(self, length: int, fps: float) -> list[Circle | None]:
        """The person's circle in every frame of the clip: interpolated over gaps, None where not there."""
        circles: list[Circle | None] = [None] * length
        for frame, detection in zip(self.frames, self.detections, strict=True):
            circles[frame] = detection.circle
        for before, after in zip(self.frames, self.frames[1:], strict=False):
            a, b = circles[before], circles[after]
            if after - before > GAP_SECONDS * fps or a is None or b is None:
                continue
            for frame in range(before + 1, after):
                w = (frame - before) / (after - before)
                circles[frame] = Circle((1 - w) * a.hips + w * b.hips, (1 - w) * a.up + w * b.up)
        return circles

    def boxes(self, length: int) -> Array | None:
        """(T, 4) the person's box in every frame, NaN where it is not known; None without any."""
        boxes = np.full((length, 4), np.nan)
        for frame, detection in zip(self.frames, self.detections, strict=True):
            if detection.box is not None:
                boxes[frame] = detection.box
        return boxes if np.isfinite(boxes).any() else None


def same_person(a: Detection, b: Detection) -> bool:
    """Whether two findings in one frame are so near each other that they are one person."""
    return a.circle.distance(b.circle) <= 0.5 * max(a.circle.radius, b.circle.radius)


def distinct(detections: Sequence[Detection]) -> list[Detection]:
    """One detection a person, the surest, in the order of their scores."""
    kept: list[Detection] = []
    for candidate in sorted(detections, key=lambda d: -d.score):
        if not any(same_person(candidate, other) for other in kept):
            kept.append(candidate)
    return kept


def lasting(tracks: Iterable[Track], frames: int, fps: float) -> list[Track]:
    """The tracks of a clip of so many frames, most prominent first; brief false alarms are left out."""
    needed = min(max(MIN_FRAMES, MIN_SECONDS * fps), frames / 2)
    return sorted((t for t in tracks if len(t.frames) >= needed), key=lambda t: -t.prominence)


class Reach:
    """How far people get from frame to frame.

    Args:
        fps: of the frames.
    """

    def __init__(self, fps: float) -> None:
        self._step = HIPS_STEP * max(1.0, HIPS_STEP_FPS / fps)

    def cost(self, track: Track, detection: Detection, frame: int) -> float:
        """Hips' distance in radii plus the logarithm of the ratio of sizes; FORBIDDEN where out of reach."""
        expected = track.expected(frame)
        distance = expected.distance(detection.circle) / expected.radius
        size = abs(float(np.log(detection.circle.radius / expected.radius)))
        reach = min(self._step * (frame - track.frames[-1]), max(self._step, STEP_LIMIT))
        return distance + 0.5 * size if distance <= reach and size < np.log(2) else FORBIDDEN


class Tracker:
    """Follows everybody from frame to frame.

    A person is first looked for where they were (`follow`), which is steadier and surer than finding
    them afresh; the detector brings in newcomers and those lost. Either way the hips must lie within a
    fifth of the body's height per frame of where they were expected, so that a track never jumps from
    one person to another, and no two tracks may hold the same person.

    Args:
        fps: of the frames.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._cost = Reach(fps).cost
        self._gap = max(1.0, GAP_SECONDS * fps)
        self._detect_every = max(1, round(DETECT_SECONDS * fps))
        self._frames = 0
        self._tracks: list[Track] = []

    def update(
        self,
        detect: Callable[[], Sequence[Detection]],
        follow: Callable[[Circle], Detection | None],
    ) -> None:
        """Takes the next frame.

        Args:
            detect: finds everybody in it; asked now and then, and where somebody was just lost.
            follow: looks for one person around a circle.
        """
        frame = self._frames
        self._frames += 1
        alive = [t for t in self._tracks if frame - t.frames[-1] <= self._gap]
        for track in sorted(alive, key=lambda t: -t.prominence):
            found = follow(track.expected(frame))
            if found and self._cost(track, found, frame) < FORBIDDEN and self._is_new(found, frame):
                track.add(frame, found)
        just_lost = any(t.frames[-1] == frame - 1 for t in alive)
        if just_lost or frame % self._detect_every == 0:
            newcomers = [d for d in detect() if self._is_new(d, frame)]
            left = self._assign([t for t in alive if t.frames[-1] < frame], newcomers, frame)
            self._tracks += [Track([frame], [d]) for d in left if d.score >= START_SCORE]

    def _is_new(self, detection: Detection, frame: int) -> bool:
        """Whether no track holds this person in this frame."""
        held = [t.detections[-1] for t in self._tracks if t.frames[-1] == frame]
        return not any(same_person(detection, other) for other in held)

    def tracks(self) -> list[Track]:
        """Everybody followed so far, most prominent first; brief false alarms are left out."""
        return lasting(self._tracks, self._frames, self._fps)

    def _assign(self, tracks: list[Track], detections: Sequence[Detection], frame: int) -> list[Detection]:
        """Adds each detection to the track that it fits; returns those that fit none."""
        cost = np.array([[self._cost(t, d, frame) for d in detections] for t in tracks])
        taken = set()
        if cost.size:
            for row, column in zip(*linear_sum_assignment(cost), strict=True):
                if cost[row, column] < FORBIDDEN:
                    tracks[row].add(frame, detections[column])
                    taken.add(column)
        return [d for i, d in enumerate(detections) if i not in taken]
