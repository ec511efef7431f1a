"""What is known about a finished clip, in figures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.avatar.completion import hardly_seen
from models.avatar.remarks import remarks
from models.body import Motion
from stages.export import perframe
from stages.export.changes import JointChange, joint_changes, sides_seen
from stages.export.clip import Clip
from stages.export.perframe import FrameFigures
from stages.facts import finite

_DIGITS = 4  # of figures of single frames; more are noise


@dataclass(frozen=True, eq=False)
class Facts:
    """The figures that the report and metrics.json give; None where something is not known.

    Attributes:
        frames, frames_seen: pictures, and those that show the person.
        gaussians: of the avatar.
        cut_off: pictures in which the person reaches the picture's edge.
        person_height: median height of the person over the picture's.
        blur: median of `models.metrics.blur_effect` of the person's part of the picture.
        unseen_surface: share of the avatar that at most a tenth of the training frames showed.
        sides_seen: in how many frames the camera looks at each side of the person.
        remarks: what these leave to guessing, in plain words.
        avatar_iou: rendered avatar against the masks.
        body_iou: body mesh against the masks, before and after.
        landmark_error: median distance of joints and 2D landmarks, pixels, before and after.
        acceleration: mean of the joints' second differences, mm per frame squared, before and after.
        held_out: PSNR, SSIM and IoU on held-out frames, by which poses were used.
        joints: what the optimisation did to every joint.
        per_frame: figures of single frames.
    """

    frames: int
    frames_seen: int
    gaussians: int
    cut_off: int
    person_height: float | None
    blur: float | None
    unseen_surface: float
    sides_seen: Mapping[str, int]
    remarks: Sequence[str]
    avatar_iou: float | None
    body_iou: tuple[float | None, float | None]
    landmark_error: tuple[float | None, float | None]
    acceleration: tuple[float | None, float | None]
    held_out: Mapping[str, Mapping[str, float]]
    joints: Sequence[JointChange]
    per_frame: FrameFigures


def gather(clip: Clip, inputs: Mapping[str, Path], history: Mapping[str, Any]) -> Facts:
    """All facts about a clip; `history` is the content of the optimisation's history.json."""
    figures, unseen = perframe.measure(clip, inputs, history), hardly_seen(clip.avatar)
    return Facts(
        frames=len(clip.frames),
        frames_seen=len(clip.seen),
        gaussians=len(clip.avatar),
        cut_off=int(figures.cut_off.sum()),
        person_height=perframe.median(figures.height),
        blur=perframe.median(figures.blur),
        unseen_surface=unseen,
        sides_seen=sides_seen(clip),
        remarks=_remarks(clip.refined, unseen),
        avatar_iou=perframe.mean(figures.avatar_iou),
        body_iou=_both(perframe.mean, figures.body_iou),
        landmark_error=_both(perframe.median, figures.landmark_distance),
        acceleration=(acceleration(clip.initial), acceleration(clip.refined)),
        held_out={name: value for name, value in history["held_out"].items() if isinstance(value, dict)},
        joints=joint_changes(clip),
        per_frame=figures,
    )


def acceleration(motion: Motion) -> float | None:
    """Mean norm of the joints' second differences in mm per frame squared, over runs of seen frames."""
    if motion.joints is None or len(motion) < 3:
        return None
    runs = motion.valid[:-2] & motion.valid[1:-1] & motion.valid[2:]
    change = np.linalg.norm(np.diff(motion.joints.astype(np.float64), 2, axis=0), axis=-1)[runs]
    return float(change.mean() * 1000) if len(change) else None


def metrics(
    facts: Facts, manifests: Mapping[str, Mapping[str, Any]], source_frames: NDArray[np.integer]
) -> dict[str, Any]:
    """The content of metrics.json; what is not known is null.

    Args:
        manifests: of the earlier stages, by name.
        source_frames: (T,) which picture of the video each frame is.
    """
    found = {
        "frames": facts.frames,
        "frames_seen": facts.frames_seen,
        "held_out": facts.held_out,
        "silhouette_iou": {"avatar": facts.avatar_iou, "body": _pair(facts.body_iou)},
        "landmark_error_px": _pair(facts.landmark_error),
        "acceleration_mm_per_frame2": _pair(facts.acceleration),
        "unseen_surface": facts.unseen_surface,
        "sides_seen": {name.removeprefix("the "): count for name, count in facts.sides_seen.items()},
        "cut_off_frames": facts.cut_off,
        "person_height": facts.person_height,
        "blur": facts.blur,
        "joint_change": {joint.name: _change(joint) for joint in facts.joints},
        "per_frame": _per_frame(facts.per_frame, source_frames),
        "stages": {
            name: {key: manifest.get(key) for key in ("engine", "seconds", "peak_memory")}
            for name, manifest in manifests.items()
        },
    }
    return dict(finite(found))


def _remarks(motion: Motion, unseen: float) -> list[str]:
    if motion.joints is None or not motion.valid.any():
        return []
    return remarks(motion.poses[motion.valid], motion.joints[motion.valid], unseen)


def _change(joint: JointChange) -> dict[str, Any]:
    values = asdict(joint)
    return {
        "mean_degrees": values["mean"],
        "largest_degrees": values["largest"],
        "largest_frame": values["largest_frame"],
        "moved_mm": values["moved"],
    }


def _per_frame(figures: FrameFigures, source_frames: NDArray[np.integer]) -> dict[str, Any]:
    distances = [perframe.medians(values) for values in figures.landmark_distance]
    return {
        "frame": source_frames.tolist(),
        "interpolated": figures.interpolated.tolist(),
        "cut_off": figures.cut_off.tolist(),
        "confidence": _rounded(figures.confidence),
        "landmark_error_px": _pair([_rounded(values) for values in distances]),
        "silhouette_iou": {
            "avatar": _rounded(figures.avatar_iou),
            "body": _pair([_rounded(values) for values in figures.body_iou]),
        },
    }


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in values.round(_DIGITS)]


def _pair(values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(("before", "after"), values, strict=True))


def _both(summary: Any, values: tuple[Any, Any]) -> tuple[float | None, float | None]:
    before, after = (summary(one) for one in values)
    return before, after
