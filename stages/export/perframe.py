"""Figures of single frames: the body against landmarks and masks, and how sure the detector was."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.body import Motion
from models.drawing import project
from models.metrics import blur_effect, iou
from models.npz import read_stored
from models.people import Landmarks
from stages.export.clip import Clip, evenly
from stages.masks import Subject

Array = NDArray[np.float64]

# Landmarks of BlazePose and joints of the body that lie at the same places: shoulders, elbows, wrists, knees,
# ankles. The two disagree about where hips are.
LANDMARKS = (11, 12, 13, 14, 15, 16, 25, 26, 27, 28)
JOINTS = (16, 17, 18, 19, 20, 21, 4, 5, 7, 8)
_VISIBLE = 0.5

_BODY_FRAMES = 300
_SAMPLE_FRAMES = 24  # for what has to be drawn or decoded
_CUT_OFF_EDGE = 0.05  # of the person's height, that must lie on the picture's edge


@dataclass(frozen=True, eq=False)
class FrameFigures:
    """Figures of T frames; NaN where nothing is known or nobody looked.

    Attributes:
        landmark_distance: (T, 10) pixels from the limbs' projected joints to the detector's 2D landmarks
            where these are visible, before and after. The landmarks are an estimate too, and in part what
            the motion was fitted to: a check, not the truth.
        body_iou: (T,) body mesh against the masks, before and after; of long clips evenly chosen frames.
        avatar_iou: (T,) rendered avatar against the masks, in evenly chosen frames.
        blur: (T,) `models.metrics.blur_effect` of the person's part of the picture, in the same frames.
        confidence: (T,) in [0, 1], the detector's own: mean visibility of the limbs' landmarks.
        height: (T,) of the person over the picture's.
        cut_off: (T,) bool, the person reaches the picture's edge.
        interpolated: (T,) bool, the motion comes from the neighbours: the person was not found, or the
            optimisation left the frame out.
    """

    landmark_distance: tuple[Array, Array]
    body_iou: tuple[Array, Array]
    avatar_iou: Array
    blur: Array
    confidence: Array
    height: Array
    cut_off: NDArray[np.bool_]
    interpolated: NDArray[np.bool_]


def measure(clip: Clip, inputs: Mapping[str, Path], history: Mapping[str, Any]) -> FrameFigures:
    """All figures of a clip's frames; `history` is the content of the optimisation's history.json."""
    count, motions = len(clip.frames), (clip.initial, clip.refined)
    height, before, after, avatar, blur = (np.full(count, np.nan) for _ in range(5))
    cut_off = np.zeros(count, bool)
    measured = set(evenly(clip.seen, _BODY_FRAMES))
    sample = set(evenly(clip.seen, _SAMPLE_FRAMES))
    for index in clip.seen.tolist():
        mask = clip.mask(index)
        inside = mask > 127
        if not inside.any():
            continue
        height[index] = np.ptp(np.flatnonzero(inside.any(axis=1))) + 1
        cut_off[index] = _touches_edge(inside)
        if index in measured:
            before[index], after[index] = (iou(clip.body_region(m, index) / 255, mask / 255) for m in motions)
        if index in sample:
            _, alpha = clip.render(index, clip.K, clip.frames.width, clip.frames.height)
            avatar[index] = iou(alpha, mask / 255)
            blur[index] = _blur(clip, index, inside)
    landmarks = _landmarks(inputs["detect"] / "landmarks.npz")
    interpolated = ~clip.refined.valid
    interpolated[history.get("frames", {}).get("dropped", [])] = True
    return FrameFigures(
        landmark_distance=(
            landmark_distance(clip, clip.initial, landmarks),
            landmark_distance(clip, clip.refined, landmarks),
        ),
        body_iou=(before, after),
        avatar_iou=avatar,
        blur=blur,
        confidence=_confidence(inputs["detect"], landmarks),
        height=height / clip.frames.height,
        cut_off=cut_off,
        interpolated=interpolated,
    )


def landmark_distance(clip: Clip, motion: Motion, landmarks: Landmarks | None) -> Array:
    """(T, 10) pixels of the working picture, see `FrameFigures`; all NaN without landmarks or joints."""
    distance = np.full((len(clip.frames), len(LANDMARKS)), np.nan)
    if motion.joints is None or landmarks is None:
        return distance
    found = landmarks.image[0][:, LANDMARKS]
    usable = (found[..., 2] > _VISIBLE) & (landmarks.valid[0] & motion.valid)[:, None]
    projected = project(motion.joints[:, JOINTS], clip.intrinsics(motion))
    distance[usable] = np.linalg.norm(projected - found[..., :2], axis=-1)[usable]
    return distance


def mean(values: Array) -> float | None:
    """The mean of the known values, None without any."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def median(values: Array) -> float | None:
    """The median of the known values, None without any."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def medians(values: Array) -> Array:
    """(T,) the median of the known values of every row of (T, N), NaN without any."""
    return np.array([np.nan if (found := median(row)) is None else found for row in values])


def _landmarks(path: Path) -> Landmarks | None:
    return Landmarks.load(path) if path.is_file() else None


def _confidence(detect: Path, landmarks: Landmarks | None) -> Array:
    if landmarks is None:
        subject = Subject.load(detect)
        scores = read_stored(detect / "subject.npz", "scores")["scores"].astype(np.float64)
        return np.where(subject.valid, scores, np.nan)
    visibility = landmarks.image[0][:, LANDMARKS, 2].mean(axis=1)
    return np.where(landmarks.valid[0], visibility, np.nan)


def _blur(clip: Clip, index: int, inside: NDArray[np.bool_]) -> float:
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    part = clip.frames.image(index)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    found = blur_effect(np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.uint8))
    return np.nan if found is None else found


def _touches_edge(inside: NDArray[np.bool_]) -> bool:
    longest = _CUT_OFF_EDGE * inside.any(axis=1).sum()
    borders = inside[0], inside[-1], inside[:, 0], inside[:, -1]
    return any(border.sum() > longest for border in borders)
