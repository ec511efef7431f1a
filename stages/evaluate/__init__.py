"""Scores a finished workspace against the truth; no stage of the chain, since only few clips have one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.avatar import Avatar
from models.avatar.scoring import View
from models.body import Motion, load_body
from models.metrics import Distance
from models.metrics.perceptual import Unavailable, load_lpips
from stages.evaluate.motions import UNITS, Comparison, Errors
from stages.evaluate.pictures import Folders, HeldOut, folder_figures, held_out_figures
from stages.evaluate.truth import Truth, pose_views
from stages.facts import finite
from stages.frames import Frames

__all__ = ["NEEDS", "UNITS", "evaluate"]

NEEDS = ("frames", "poses", "masks", "optimize")
"""The stages whose folders are read."""


def evaluate(
    folders: Mapping[str, Path],
    truth_path: Path,
    body_path: Path | None = None,
    novel: Path | None = None,
    novel_pose: Path | None = None,
) -> dict[str, Any]:
    """All figures of one clip, JSON-able; docs/formats.md describes them.

    Args:
        folders: the published folders of the stages in `NEEDS`.
        truth_path: of gt.npz.
        body_path: the user's SMPL model, for motions of that body.
        novel, novel_pose: folders of pictures from other cameras and in other poses; by default those of
            these names beside the truth, if they are there.

    Raises:
        InputError: the truth is not usable or not of this clip, or the body is not the motions'.
    """
    truth, body = Truth.load(truth_path), load_body(body_path)
    place = Folders(**{name: folders[name] for name in NEEDS})
    frames = Frames.load(place.frames)
    initial, refined = (Motion.load(f / "motion.npz") for f in (place.poses, place.optimize))
    for motion in (initial, refined):
        motion.require(body)
    rows, how = truth.rows(frames)
    comparison = Comparison(truth, rows, body)
    errors = {"before": comparison.errors(initial), "after": comparison.errors(refined)}
    avatar = Avatar.load(place.optimize / "avatar.npz")
    distance, lpips = _lpips()
    held_out = HeldOut.load(place.optimize / "held_out.npz", initial, refined, avatar, body)
    K = refined.intrinsics(frames.width, frames.height)
    beside = truth_path.parent
    return finite(
        {
            "truth": str(truth_path),
            "body": body.kind,
            "frames": {
                "kept": len(frames),
                "compared": len(comparison.frames),
                "matched": how,
                "index": comparison.frames.tolist(),
                "truth_row": comparison.rows.tolist(),
                "not_seen": comparison.frames[~initial.valid[comparison.frames]].tolist(),
            },
            "units": UNITS,
            "motion": {
                name: _motion(each, initial.valid[comparison.frames]) for name, each in errors.items()
            },
            "pve": comparison.vertices_note,
            "lpips": lpips,
            "pictures": {
                "held_out": held_out_figures(held_out, avatar, place, K, truth, rows, distance),
                "novel_view": _folder(novel, beside / "novel", truth.views, avatar, distance),
                "novel_pose": _folder(novel_pose, beside / "novel_pose", pose_views, avatar, distance),
            },
        }
    )


def _lpips() -> tuple[Distance | None, str]:
    """LPIPS, if this machine has it, and what to say about it."""
    try:
        return load_lpips(), "AlexNet, version 0.1"
    except Unavailable as lack:
        return None, f"not computed: {lack}"


def _motion(errors: Errors, seen: NDArray[np.bool_]) -> dict[str, Any]:
    """One motion's figures; those of the frames that show the person apart, if some do not."""
    facts: dict[str, Any] = {"mean": errors.summary()}
    if not seen.all():
        facts["mean_where_seen"] = errors.summary(seen)
    return {
        **facts,
        "scale": errors.scale,
        "per_joint": errors.per_joint(),
        "per_frame": {name: values.tolist() for name, values in errors.per_frame().items()},
    }


def _folder(
    given: Path | None,
    beside: Path,
    views: Callable[[Path], list[View]],
    avatar: Avatar,
    distance: Distance | None,
) -> dict[str, Any]:
    """The figures of the user's folder, or of the one beside the truth."""
    folder = given or beside
    if given is None and not beside.is_dir():
        return {"note": f"not computed: there is no {beside}"}
    return {"folder": str(folder), **folder_figures(views(folder), avatar, distance)}
