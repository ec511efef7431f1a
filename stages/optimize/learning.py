"""What stage optimize does once it runs: reads the evidence, learns, writes."""

import hashlib
import io
import json
import logging
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar import Evidence, Result, optimise
from models.body import Motion, load_body
from models.errors import InputError, StageError
from models.npz import read_stored
from models.people import Landmarks
from stages.base import Work
from stages.depth.maps import read_maps
from stages.frames import Frames
from stages.images import numbered, read_grey
from stages.masks import Subject
from stages.optimize import OptimizeSettings

log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
_DIGEST = hashlib.sha256().digest_size


def learn(work: Work) -> dict[str, Any]:
    """Reads what the earlier stages found; writes the avatar and the refined motion."""
    settings: OptimizeSettings = work.settings
    motion = Motion.load(work.inputs["poses"] / "motion.npz")
    body = load_body(settings.body)
    motion.require(body)
    evidence = gather(work, motion)
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
    """The state of an unfinished optimisation, in one file: its SHA-256, then what torch wrote.

    torch does not notice changed numbers in its own files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> dict[str, Any] | None:
        """The state saved last; None if there is none that is as it was saved: the work then starts anew."""
        try:
            content = self.path.read_bytes()
            digest, state = content[:_DIGEST], content[_DIGEST:]
            if hashlib.sha256(state).digest() != digest:
                log.warning("the checkpoint is damaged; starting anew")
                return None
            loaded = torch.load(io.BytesIO(state), weights_only=True)
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
            log.warning("the checkpoint cannot be read (%s); starting anew", error)
            return None
        return loaded if isinstance(loaded, dict) else None

    def save(self, state: dict[str, Any]) -> None:
        """Replaces the saved state in one step.

        Raises:
            OSError: it cannot be written.
        """
        content = io.BytesIO()
        torch.save(state, content)
        beside = self.path.with_suffix(".part")
        with beside.open("wb") as file:
            file.write(hashlib.sha256(content.getbuffer()).digest())
            file.write(content.getbuffer())
        beside.replace(self.path)


class _Pictures(Sequence[NDArray[np.uint8]]):
    """One picture a frame, read when it is asked for."""

    def __init__(self, read: Callable[[int], NDArray[np.uint8]], count: int) -> None:
        self.read, self.length = read, count

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        try:
            return self.read(range(self.length)[index])
        except (OSError, ValueError) as error:
            raise StageError(
                f"A picture is missing or damaged: {error}", "Run again with --redo frames."
            ) from error


def gather(work: Work, motion: Motion) -> Evidence:
    """Everything that the earlier stages found out about the clip."""
    frames, subject = Frames.load(work.inputs["frames"]), Subject.load(work.inputs["detect"])
    count, masks = len(frames), work.inputs["masks"]
    covered = read_stored(masks / "masks.npz", "valid")["valid"]
    if len(motion) != count:
        raise InputError(
            f"The motion has {len(motion)} frames, the clip {count}.",
            "A motion given with --poses needs one pose for every frame that is kept.",
        )
    depth = read_maps(work.inputs["depth"] / "depth.npz", count)
    return Evidence(
        images=_Pictures(frames.image, count),
        masks=_Pictures(lambda index: read_grey(numbered(masks, index)), count),
        K=motion.intrinsics(frames.width, frames.height),
        fps=frames.fps,
        valid=np.asarray(covered & subject.valid, bool),
        poses=np.asarray(motion.poses, np.float32),
        trans=np.asarray(motion.trans, np.float32),
        betas=np.asarray(motion.betas, np.float32),
        posed=np.asarray(motion.valid, bool),
        landmarks=_landmarks(work.inputs["detect"] / "landmarks.npz"),
        **depth,
    )


def _landmarks(path: Path) -> NDArray[np.floating] | None:
    if not path.exists():
        return None
    landmarks = Landmarks.load(path)
    return np.where(landmarks.valid[..., None, None], landmarks.image, 0).astype(np.float32)


def _write(output: Path, motion: Motion, result: Result) -> None:
    result.avatar.save(output / "avatar.npz")
    arrays = (result.poses, result.trans, result.joints, result.betas)
    poses, trans, joints, betas = (a.numpy() for a in arrays)
    replace(motion, poses=poses, trans=trans, joints=joints, betas=betas).save(output / "motion.npz")
    (output / "history.json").write_text(json.dumps(result.history, indent=1))
    _write_held_out(output / "held_out.npz", result)


def _write_held_out(path: Path, result: Result) -> None:
    """The motion of the held-out frames before it was fitted to their own pictures."""
    frames = np.array(result.history["frames"]["held_out"], np.int64)
    poses, trans = result.interpolated or (result.poses, result.trans)
    np.savez(path, frames=frames, poses=poses.numpy()[frames], trans=trans.numpy()[frames])


def _summary(result: Result, evidence: Evidence) -> dict[str, Any]:
    history = result.history
    return {
        "gaussians": len(result.avatar),
        "frames_used": len(history["frames"]["usable"]) - len(history["frames"]["dropped"]),
        "frames": len(evidence),
        "held_out": history["held_out"],
        "depth": history["depth_used"],
        "size_from": history["size_from"],
        "warnings": history["warnings"],
    }
