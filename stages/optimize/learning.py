"""What stage optimize does once it runs: reads the evidence, learns, writes."""

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar import Evidence, Result, optimise
from models.body import BodyModel, Motion, load_body
from models.cameras import scale_intrinsics
from models.errors import InputError, StageError
from stages.base import Work
from stages.optimize import OptimizeSettings

CHECKPOINT = "checkpoint.pt"


def learn(work: Work) -> dict[str, Any]:
    """Reads what the earlier stages found; writes the avatar and the refined motion."""
    settings: OptimizeSettings = work.settings
    motion = Motion.load(work.inputs["poses"] / "motion.npz")
    body = _body(settings, motion)
    evidence = _evidence(work, motion)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the renderer has its own threads; torch's would spin beside them
    try:
        result = optimise(
            evidence,
            body,
            settings,
            "cuda" if work.engine == "gsplat" else "cpu",
            CheckpointFile(work.scratch / CHECKPOINT),
            work.progress,
        )
    except torch.OutOfMemoryError as error:
        raise StageError(
            "The GPU has too little memory for this avatar.",
            "Lower optimize.final_gaussians or optimize.final_person_pixels, or use --device cpu.",
        ) from error
    finally:
        torch.set_num_threads(threads)
    _write(work.output, motion, result)
    return _summary(result, evidence)


class CheckpointFile:
    """The state of an unfinished optimisation, in one file that is always whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> dict[str, Any] | None:
        """The state saved last; None if there is none that can be read: the work then starts anew."""
        try:
            state = torch.load(self.path, weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError):
            return None
        return state if isinstance(state, dict) else None

    def save(self, state: dict[str, Any]) -> None:
        """Replaces the saved state in one step.

        Raises:
            OSError: it cannot be written. torch, left to open the file itself, would not say why.
        """
        beside = self.path.with_suffix(".part")
        with beside.open("wb") as file:
            torch.save(state, file)
        beside.replace(self.path)


class _Pictures(Sequence[NDArray[np.uint8]]):
    """The numbered pictures of a folder, read when they are asked for."""

    def __init__(self, folder: Path, count: int, flag: int) -> None:
        self.folder, self.length, self.flag = folder, count, flag

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        path = self.folder / f"{range(self.length)[index]:06d}.png"
        picture = cv2.imread(str(path), self.flag)
        if picture is None:
            raise StageError(f"{path}: the picture is missing or damaged.", "Run again with --redo frames.")
        return picture


def _evidence(work: Work, motion: Motion) -> Evidence:
    """Everything that the earlier stages found out about the clip."""
    frames = np.load(work.inputs["frames"] / "frames.npz", allow_pickle=False)
    subject = np.load(work.inputs["detect"] / "subject.npz", allow_pickle=False)
    masks = np.load(work.inputs["masks"] / "masks.npz", allow_pickle=False)
    count = len(frames["times"])
    if len(motion) != count:
        raise InputError(
            f"The motion has {len(motion)} frames, the clip {count}.",
            "A motion given with --poses needs one pose for every frame that is kept.",
        )
    depth = _depth(work.inputs["depth"] / "depth.npz", count)
    return Evidence(
        images=_Pictures(work.inputs["frames"] / "images", count, cv2.IMREAD_COLOR_RGB),
        masks=_Pictures(work.inputs["masks"], count, cv2.IMREAD_GRAYSCALE),
        K=scale_intrinsics(motion.K, frames["width"] / motion.width, frames["height"] / motion.height),
        fps=float(frames["fps"]),
        valid=np.asarray(masks["valid"] & subject["valid"], bool),
        poses=np.asarray(motion.poses, np.float32),
        trans=np.asarray(motion.trans, np.float32),
        betas=np.asarray(motion.betas, np.float32),
        posed=np.asarray(motion.valid, bool),
        landmarks=_landmarks(work.inputs["detect"] / "landmarks.npz"),
        **depth,
    )


def _depth(path: Path, count: int) -> dict[str, NDArray[np.floating]]:
    """The depth maps under the name of their kind; nothing where no engine made any."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as data:
        maps = {name: data[name] for name in ("disparity", "depth") if name in data}
    for name, values in maps.items():
        if values.ndim != 3 or len(values) != count:
            raise InputError(
                f"{path}: `{name}` has shape {values.shape}, expected ({count}, h, w).",
                "Depth given with --depth needs one map for every frame that is kept.",
            )
    return maps


def _landmarks(path: Path) -> NDArray[np.floating] | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as data:
        seen = np.asarray(data["valid"], bool)
        return np.where(seen[..., None, None], data["image"], 0).astype(np.float32)


def _body(settings: OptimizeSettings, motion: Motion) -> BodyModel:
    body = load_body(settings.body)
    if body.kind != motion.body:
        raise InputError(
            f"The motion is of the {motion.body} body, the optimisation has the {body.kind} one.",
            "Give the SMPL model with --body for a motion of SMPL's, and leave it out for others.",
        )
    return body


def _write(output: Path, motion: Motion, result: Result) -> None:
    result.avatar.save(output / "avatar.npz")
    arrays = (result.poses, result.trans, result.joints, result.betas)
    poses, trans, joints, betas = (a.numpy() for a in arrays)
    replace(motion, poses=poses, trans=trans, joints=joints, betas=betas).save(output / "motion.npz")
    (output / "history.json").write_text(json.dumps(result.history, indent=1))


def _summary(result: Result, evidence: Evidence) -> dict[str, Any]:
    history = result.history
    return {
        "gaussians": len(result.avatar),
        "frames_used": len(history["frames"]["usable"]) - len(history["frames"]["dropped"]),
        "frames": len(evidence),
        "held_out": history["held_out"],
        "depth": history["depth_slope"] is not None or evidence.depth is not None,
        "size_from": history["size_from"],
        "warnings": history["warnings"],
    }
