"""The avatar against pictures that it has not learned from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar import Avatar
from models.avatar.alignment import body_height
from models.avatar.scoring import View, mean_score, score
from models.body import BodyModel, Motion
from models.errors import InputError
from models.metrics import Distance
from models.metrics.image import comparable
from models.npz import read_npz
from stages.evaluate.truth import Truth
from stages.frames import Frames
from stages.images import numbered, read_grey

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Folders:
    """The published folders of a workspace that are read here."""

    frames: Path
    poses: Path
    masks: Path
    optimize: Path


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The held-out frames of a clip, and the poses that each way of having them gives."""

    frames: NDArray[np.int64]
    poses: Mapping[str, tuple[Array, Array]]  # (H,72) and pelvises (H,3), by the name of the way

    @classmethod
    def load(cls, path: Path, initial: Motion, refined: Motion, avatar: Avatar, body: BodyModel) -> "HeldOut":
        """Reads which they are and their poses before they were fitted.

        Args:
            path: of the stage's held_out.npz.

        Raises:
            InputError: it is missing or damaged.
        """
        try:
            data = read_npz(path)
            frames, poses, trans = (data[name] for name in ("frames", "poses", "trans"))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{path} cannot be read ({error}).", "Run again with --redo optimize."
            ) from error
        # As much farther away as the avatar is taller than the start: it looks alike.
        before, after = (body_height(body, torch.from_numpy(m.betas)) for m in (initial, refined))
        growth = after / before
        return cls(
            frames,
            {
                "initial poses": (initial.poses[frames], (growth * pelvis(initial, body))[frames]),
                "interpolated poses": (poses, trans + avatar.rest_joints[0].numpy()),
                "fitted poses": (refined.poses[frames], pelvis(refined, body)[frames]),
            },
        )


def pelvis(motion: Motion, body: BodyModel) -> Array:
    """(T,3) in camera space; the body turns about its rest pelvis."""
    return np.asarray(motion.trans + body.shaped_joints(torch.from_numpy(motion.betas))[0].numpy())


def held_out_figures(
    held_out: HeldOut,
    avatar: Avatar,
    folders: Folders,
    K: Array,
    truth: Truth,
    rows: NDArray[np.int64],
    distance: Distance | None,
) -> dict[str, Any]:
    """Means over the held-out frames, by the poses that were used; what is null was not to be had."""
    frames = Frames.load(folders.frames)
    usable, masks = [], []
    for place, index in enumerate(held_out.frames.tolist()):
        mask = _mask(folders, frames, index, truth, int(rows[index]))
        if mask is not None and comparable(mask / 255):
            usable.append(place)
            masks.append(mask)
    facts: dict[str, Any] = {
        "frames": held_out.frames[usable].tolist(),
        "masks": "truth" if truth.masks is not None else "workspace",
        "size": [frames.width, frames.height],
    }
    if not usable:
        return {**facts, "note": "not computed: no frame was held out whose mask is known"}
    images = [frames.image(int(held_out.frames[place])) for place in usable]
    for name, (poses, pelvises) in held_out.poses.items():
        views = [
            View(image, mask, K, poses[place], pelvises[place])
            for place, image, mask in zip(usable, images, masks, strict=True)
        ]
        facts[name] = mean_score(score(avatar, view, distance) for view in views)
    return facts


def folder_figures(views: list[View], avatar: Avatar, distance: Distance | None) -> dict[str, Any]:
    """Means over the pictures of a folder, the avatar in the truth's poses and at its pelvis."""
    return {"pictures": len(views), **mean_score(score(avatar, view, distance) for view in views)}


def _mask(folders: Folders, frames: Frames, index: int, truth: Truth, row: int) -> NDArray[np.uint8] | None:
    """The truth's where it has any, else the workspace's; None in a frame that such a truth leaves out."""
    if truth.masks is None:
        return read_grey(numbered(folders.masks, index))
    return truth.mask(row, frames.width, frames.height) if row >= 0 else None
