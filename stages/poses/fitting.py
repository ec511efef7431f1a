"""What stage poses does once it runs: finds the poses by its engine, and writes them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from models.body import BodyModel, Motion, load_body
from models.errors import InputError
from models.hmr import fit_poses
from models.people import Landmarks
from stages.base import Work
from stages.disk import full_disk_told
from stages.frames import Frames
from stages.poses import PosesSettings
from stages.poses.found import found_motion
from stages.poses.own import users_motion
from stages.poses.recovery import recovered

Facts = dict[str, Any]


def find_poses(work: Work) -> Facts:
    """Write `motion.npz`.

    Raises:
        InputError: the user's motion or body cannot be used.
        StageError: the disk is full.
    """
    frames, body = Frames.load(work.inputs["frames"]), load_body(work.settings.body)
    motion, facts = ENGINES[work.engine](work, frames, body)
    with full_disk_told(work.output):
        motion.save(work.output / "motion.npz")
    return {"frames": len(motion), "valid": int(motion.valid.sum()), "body": motion.body, **facts}


def fitted_to_landmarks(work: Work, frames: Frames, body: BodyModel) -> tuple[Motion, Facts]:
    """The body fitted to BlazePose's landmarks, as stage detect wrote them."""
    settings: PosesSettings = work.settings
    landmarks = Landmarks.load(work.inputs["detect"] / "landmarks.npz")
    if not landmarks.valid.any():
        raise InputError(
            "BlazePose sees no landmarks on the person that was found.",
            "Check with --person that it is the right one, or take another engine for the poses.",
        )
    fit = fit_poses(
        landmarks,
        frames.K,
        frames.fps,
        body,
        height=settings.height,
        steps=settings.steps,
        progress=work.progress,
    )
    return found_motion(fit, fit.valid, frames, body), {
        "height": round(fit.height, 3),
        "reprojection_pixels": round(float(np.nanmean(fit.reprojection)), 2),
    }


# An engine reads the folders of earlier stages and gives one pose for every frame kept.
ENGINES: dict[str, Callable[[Work, Frames, BodyModel], tuple[Motion, Facts]]] = {
    "blazepose": fitted_to_landmarks,
    "hmr2": recovered,
    "file": users_motion,
}
