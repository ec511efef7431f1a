"""What is known about a finished clip: its figures, and advice in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.avatar.completion import hardly_seen
from models.body import Motion
from models.drawing import project
from models.metrics import iou
from models.people import Landmarks
from stages.export.clip import Clip, evenly
from stages.facts import finite

# Landmarks of BlazePose and joints of the body that lie at the same places: shoulders, elbows, wrists, knees,
# ankles. The two disagree about where hips are.
LANDMARKS = (11, 12, 13, 14, 15, 16, 25, 26, 27, 28)
JOINTS = (16, 17, 18, 19, 20, 21, 4, 5, 7, 8)
_VISIBLE = 0.5

_SILHOUETTE_FRAMES = 24
_CUT_OFF_FRAMES = 0.1  # share of the frames from which on it is worth a word
_CUT_OFF_EDGE = 0.05  # of the person's height, that must lie on the picture's edge
_SMALL = 0.35
_POOR_OVERLAP = 0.85


@dataclass(frozen=True)
class Facts:
    """The figures that the report and metrics.json give; None where something is not known.

    Attributes:
        frames, frames_seen: pictures, and those that show the person.
        cut_off: pictures in which the person reaches the picture's edge.
        person_height: median height of the person over the picture's.
        unseen_surface: share of the avatar that at most a tenth of the training frames showed.
        avatar_iou: rendered avatar against the masks.
        body_iou: body mesh against the masks, before and after.
        landmark_error: median distance of joints and 2D landmarks, pixels, before and after.
        acceleration: mean of the joints' second differences, mm per frame squared, before and after.
        held_out: PSNR, SSIM and IoU on held-out frames, by which poses were used.
    """

    frames: int
    frames_seen: int
    cut_off: int
    person_height: float | None
    unseen_surface: float
    avatar_iou: float | None
    body_iou: tuple[float | None, float | None]
    landmark_error: tuple[float | None, float | None]
    acceleration: tuple[float | None, float | None]
    held_out: Mapping[str, Mapping[str, float]]


def gather(clip: Clip, inputs: Mapping[str, Path], history: Mapping[str, Any]) -> Facts:
    """All facts about a clip; `history` is the content of the optimisation's history.json."""
    heights, cut_off = _extents(clip)
    motions = clip.initial, clip.refined
    sample = evenly(clip.seen, _SILHOUETTE_FRAMES)
    masks = {index: clip.mask(index) / 255 for index in sample}
    before, after = (
        _mean([iou(clip.body_region(motion, index) / 255, masks[index]) for index in sample])
        for motion in motions
    )
    size = clip.frames.width, clip.frames.height
    avatar = _mean([iou(clip.render(index, clip.K, *size)[1], masks[index]) for index in sample])
    first, second = (landmark_error(clip, motion, inputs["detect"] / "landmarks.npz") for motion in motions)
    return Facts(
        frames=len(clip.frames),
        frames_seen=len(clip.seen),
        cut_off=cut_off,
        person_height=float(np.median(heights)) / clip.frames.height if heights else None,
        unseen_surface=hardly_seen(clip.avatar),
        avatar_iou=avatar,
        body_iou=(before, after),
        landmark_error=(first, second),
        acceleration=(acceleration(clip.initial), acceleration(clip.refined)),
        held_out={name: value for name, value in history["held_out"].items() if isinstance(value, dict)},
    )


def landmark_error(clip: Clip, motion: Motion, path: Path) -> float | None:
    """Median distance in pixels of the limbs' projected joints and the detector's visible 2D landmarks.

    The landmarks are an estimate too, and in part what the motion was fitted to: a check, not the truth.
    None without a landmark file, joints or visible landmarks.
    """
    if motion.joints is None or not path.is_file():
        return None
    landmarks = Landmarks.load(path)
    found = landmarks.image[0][:, LANDMARKS]
    usable = (found[..., 2] > _VISIBLE) & (landmarks.valid[0] & motion.valid)[:, None]
    projected = project(motion.joints[:, JOINTS], clip.intrinsics(motion))
    distance = np.linalg.norm(projected - found[..., :2], axis=-1)[usable]
    return float(np.median(distance)) if len(distance) else None


def acceleration(motion: Motion) -> float | None:
    """Mean norm of the joints' second differences in mm per frame squared, over runs of seen frames."""
    if motion.joints is None or len(motion) < 3:
        return None
    runs = motion.valid[:-2] & motion.valid[1:-1] & motion.valid[2:]
    change = np.linalg.norm(np.diff(motion.joints.astype(np.float64), 2, axis=0), axis=-1)[runs]
    return float(change.mean() * 1000) if len(change) else None


def metrics(facts: Facts, manifests: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The content of metrics.json; what is not known is null."""

    def pair(values: tuple[float | None, float | None]) -> dict[str, float | None]:
        return dict(zip(("before", "after"), values, strict=True))

    found = {
        "frames": facts.frames,
        "frames_seen": facts.frames_seen,
        "held_out": facts.held_out,
        "silhouette_iou": {"avatar": facts.avatar_iou, "body": pair(facts.body_iou)},
        "landmark_error_px": pair(facts.landmark_error),
        "acceleration_mm_per_frame2": pair(facts.acceleration),
        "unseen_surface": facts.unseen_surface,
        "stages": {
            name: {key: manifest.get(key) for key in ("engine", "seconds", "peak_memory")}
            for name, manifest in manifests.items()
        },
    }
    return dict(finite(found))


def advice(
    facts: Facts, focal_source: str, manifests: Mapping[str, Mapping[str, Any]], history: Mapping[str, Any]
) -> list[str]:
    """What a person could do for a better avatar, and what to know before trusting this one."""
    found = []
    unseen = facts.frames - facts.frames_seen
    if unseen:
        found.append(
            f"The person was not found in {unseen} of {facts.frames} frames; "
            "their motion is interpolated there."
        )
    detected = manifests["detect"]["summary"]
    if (others := len(detected.get("people", [])) - 1) > 0:
        found.append(
            f"Person {detected['chosen']} was followed; {others} more "
            f"{'was' if others == 1 else 'were'} found. --person takes another one."
        )
    if facts.cut_off > _CUT_OFF_FRAMES * facts.frames_seen:
        found.append(
            f"The person is cut off by the picture's edge in {facts.cut_off} frames. "
            "Film the whole body, with some room around it."
        )
    if facts.person_height is not None and facts.person_height < _SMALL:
        found.append(
            f"The person fills only {facts.person_height:.0%} of the picture's height. "
            "Come nearer for more detail."
        )
    if facts.avatar_iou is not None and facts.avatar_iou < _POOR_OVERLAP:
        found.append(
            f"The avatar's outline agrees poorly with the person's (overlap {facts.avatar_iou:.2f}; good "
            "ones reach 0.9). Look at the outlines below: where the start is wrong already, poses of another "
            "estimator may help (--poses)."
        )
    if focal_source == "guess":
        found.append(
            "The camera's focal length was guessed, so distances may be off by a tenth or more. "
            "Give it in pixels with --focal where you know it."
        )
    if history.get("size_from") == "population prior":
        found.append(
            f"The height of {history['height']:.2f} m is a guess: one camera cannot tell a small near "
            "person from a tall far one, and all distances depend on it. Give it with --height."
        )
    without_depth = manifests["depth"]["engine"] == "none"
    if without_depth:
        found.append(
            "No depth estimate was used: how far limbs reach towards or away from the camera is the least "
            "certain part of the motion."
        )
    for name, manifest in manifests.items():
        told = name == "detect" or (name == "depth" and without_depth)  # above
        if not told:
            found += [_sentence(str(one)) for one in manifest["summary"].get("warnings", [])]
    found += [_sentence(str(one)) for one in history.get("warnings", [])]
    return list(dict.fromkeys(found))


def _extents(clip: Clip) -> tuple[list[int], int]:
    """Heights of the person in pixels, and how many frames show them cut off."""
    heights, cut_off = [], 0
    for index in clip.seen:
        inside = clip.mask(int(index)) > 127
        rows = np.flatnonzero(inside.any(axis=1))
        if len(rows):
            heights.append(int(rows[-1] - rows[0] + 1))
            cut_off += _touches_edge(inside)
    return heights, cut_off


def _touches_edge(inside: NDArray[np.bool_]) -> bool:
    longest = _CUT_OFF_EDGE * inside.any(axis=1).sum()
    borders = inside[0], inside[-1], inside[:, 0], inside[:, -1]
    return any(border.sum() > longest for border in borders)


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."
