"""The files that the command `export` writes: for each format a name, what it is for, and how it is made."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from models.formats import (
    Splats,
    write_amass,
    write_bvh,
    write_glb,
    write_gltf_splat,
    write_ply,
    write_splat,
    write_spz,
)
from stages.export.content import Content, Up, axes
from stages.images import write_image
from stages.render.drawing import drawn, write_pictures

WHITE = (1.0, 1.0, 1.0)

Write = Callable[[Path, Content, int | None, Up], None]
"""Writes one file: of one frame or, for None, of the rest pose or the whole clip."""


@dataclass(frozen=True)
class Format:
    """A row of the table.

    Attributes:
        file: the name of what is written; single frames add their number.
        about: what it is, for people.
        write: the file.
        holds: what is in one file: the whole "clip", one "pose" (at rest unless a frame is asked for), or a
            "frame" (all of them, a file each, unless one is asked for).
        turnable: readers disagree about which way is up.
    """

    file: str
    about: str
    write: Write
    holds: Literal["clip", "pose", "frame"]
    turnable: bool = False


def _gaussians(
    write: Callable[[Path, Splats], None], path: Path, content: Content, frame: int | None, up: Up
) -> None:
    write(path, content.splats(frame, up))


def _ply(path: Path, content: Content, frame: int | None, up: Up) -> None:
    write_ply(path, content.splats(frame, up), [axes(frame, up)])


def _glb(path: Path, content: Content, frame: int | None, up: Up) -> None:
    write_glb(path, content.mesh(), content.motion, content.times)


def _bvh(path: Path, content: Content, frame: int | None, up: Up) -> None:
    write_bvh(path, content.motion, content.avatar.rest_joints.numpy(), content.avatar.parents.tolist())


def _amass(path: Path, content: Content, frame: int | None, up: Up) -> None:
    write_amass(path, content.motion)


def _video(path: Path, content: Content, frame: int | None, up: Up) -> None:
    write_pictures(path, content.avatar, content.take(range(len(content.motion))), WHITE)


def _picture(path: Path, content: Content, frame: int | None, up: Up) -> None:
    assert frame is not None
    (image,) = drawn(content.avatar, content.take([frame]), None)
    write_image(path, image)


FORMATS = {
    "ply": Format("avatar.ply", "Gaussians, for viewers and editors of splats", _ply, "pose", turnable=True),
    "splat": Format(
        "avatar.splat", "Gaussians, for viewers in browsers", partial(_gaussians, write_splat), "pose", True
    ),
    "spz": Format("avatar.spz", "Gaussians, compressed (version 3)", partial(_gaussians, write_spz), "pose"),
    "gltf-splat": Format(
        "avatar_splats.glb",
        "Gaussians in glTF (KHR_gaussian_splatting)",
        partial(_gaussians, write_gltf_splat),
        "pose",
    ),
    "glb": Format("body.glb", "the body: mesh with colours, skeleton, the clip's motion", _glb, "clip"),
    "bvh": Format("motion.bvh", "the motion, for animation programs", _bvh, "clip"),
    "amass": Format("motion_amass.npz", "the motion, for readers of AMASS", _amass, "clip"),
    "mp4": Format("avatar.mp4", "the avatar as the clip's camera saw it, over white", _video, "clip"),
    "png": Format("avatar.png", "the same with a transparent background", _picture, "frame"),
}
