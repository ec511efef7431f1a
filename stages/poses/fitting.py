"""What stage poses does once it runs: fits the body to landmarks, or takes the user's own motion."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.body import BodyModel, Motion, load_body, retarget
from models.errors import InputError
from models.hmr import fit_poses
from models.people import Landmarks
from stages.base import Work
from stages.disk import full_disk_told
from stages.frames import Frames
from stages.poses import PosesSettings
from stages.poses.recovery import recovered

Array = NDArray[np.float64]
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
    motion = Motion(
        poses=fit.poses.astype(np.float32),
        trans=fit.trans.astype(np.float32),
        betas=fit.betas.astype(np.float32),
        joints=fit.joints.astype(np.float32),
        frame=frames.source_index,
        fps=frames.fps,
        K=frames.K_source,
        width=frames.source_width,
        height=frames.source_height,
        body=body.kind,
        valid=fit.valid,
    )
    return motion, {
        "height": round(fit.height, 3),
        "reprojection_pixels": round(float(np.nanmean(fit.reprojection)), 2),
    }


def users_motion(work: Work, frames: Frames, body: BodyModel) -> tuple[Motion, Facts]:
    """The user's own motion at the frames kept, on the run's body.

    A file that does not name its body comes from another estimator, and those speak of SMPL. Its camera is
    believed rather than a guess of ours; a camera that is known takes its place.
    """
    path: Path = work.settings.file
    motion = Motion.load(path, body="smpl")
    if len(motion) == frames.source_frames:
        chosen = frames.source_index
    elif len(motion) == len(frames):
        chosen = np.arange(len(frames))
    else:
        raise InputError(
            f"{path} holds {len(motion)} poses, but {len(frames)} frames are kept of {frames.source_frames}.",
            "Give one pose for every frame kept, or one for every frame of the video.",
        )
    motion = replace(
        motion,
        poses=motion.poses[chosen],
        trans=motion.trans[chosen],
        joints=None if motion.joints is None else motion.joints[chosen],
        valid=motion.valid[chosen],
        frame=frames.source_index,
        fps=frames.fps,
    )
    motion = retarget(motion, body)
    _check_in_front(motion)
    width, height = frames.source_width, frames.source_height
    K = motion.intrinsics(width, height)
    if frames.focal_source != "guess":
        motion, K = _through_camera(motion, K, frames.K_source), frames.K_source
    return replace(motion, K=K, width=width, height=height), {"source": str(path)}


def _check_in_front(motion: Motion) -> None:
    depth = np.asarray(motion.joints)[:, 0, 2]
    if depth.min() <= 0:
        raise InputError(
            f"The motion has the person behind the camera in frame {motion.frame[depth.argmin()]}.",
            "Its trans must be in the camera's space: x right, y down, z forward.",
        )


def _through_camera(motion: Motion, own: Array, clip: Array) -> Motion:
    """The motion where the clip's camera (3,3) shows it as its own camera (3,3) did.

    The pelvis keeps its place and size in the picture, at another depth if the focal lengths differ.
    """
    joints = np.asarray(motion.joints, np.float64)
    pelvis = joints[:, 0]
    ray = pelvis / pelvis[:, 2:] @ (np.linalg.inv(clip) @ own).T
    shift = ray * pelvis[:, 2:] * (clip[1, 1] / own[1, 1]) - pelvis
    return replace(
        motion,
        trans=(motion.trans + shift).astype(np.float32),
        joints=(joints + shift[:, None]).astype(np.float32),
    )


# An engine reads the folders of earlier stages and gives one pose for every frame kept.
ENGINES: dict[str, Callable[[Work, Frames, BodyModel], tuple[Motion, Facts]]] = {
    "blazepose": fitted_to_landmarks,
    "hmr2": recovered,
    "file": users_motion,
}
