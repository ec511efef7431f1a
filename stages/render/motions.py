"""The motion that an avatar is to make, from any kind of file."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.avatar import Avatar
from models.body import BodyKind, Motion
from models.cameras import Camera
from models.errors import InputError
from models.formats import is_amass, read_amass, read_bvh

Array = NDArray[np.floating]

MOST_FRAMES = 2**18  # of a motion at another rate: two hours at 30 a second


@dataclass(frozen=True, eq=False)
class Source:
    """A motion to be made.

    Attributes:
        motion: in its camera's space.
        camera: that saw it; None where the file knows of none.
        notes: what the user may want to know about the file.
    """

    motion: Motion
    camera: Camera | None
    notes: tuple[str, ...] = ()


def read_motion(path: Path, avatar: Avatar) -> Source:
    """Reads a BVH file (.bvh), an AMASS npz (told by its frame rate) or a motion.npz.

    Raises:
        InputError: the file is none of these, or its skeleton is unknown.
    """
    kind: BodyKind = "smpl" if avatar.body == "smpl" else "embedded"
    skeleton = (avatar.rest_joints.cpu(), kind, avatar.betas.cpu())
    if path.suffix.lower() == ".bvh":
        motion, note = read_bvh(path, *skeleton)
        return Source(motion, None, (f"{path.name}: {note}",))
    if is_amass(path):
        return Source(read_amass(path, *skeleton), None)
    motion = Motion.load(path, kind)
    return Source(motion, motion.camera())


def resampled(motion: Motion, fps: float) -> Motion:
    """The motion at another rate, at the same speed: between frames, joints turn the shortest way.

    Raises:
        InputError: it would have more than `MOST_FRAMES` frames.
    """
    if np.isclose(fps, motion.fps):
        return motion
    last = len(motion) - 1
    count = np.floor(last * fps / motion.fps + 1e-6) + 1
    if count > MOST_FRAMES:
        raise InputError(
            f"The motion of {last / motion.fps:g} seconds has {count:.0f} frames at {fps:g} a second, "
            f"more than {MOST_FRAMES}.",
            f"Give a lower --fps, or see whether the motion's own rate, {motion.fps:g}, is right.",
        )
    at = np.arange(count) * motion.fps / fps
    first = np.minimum(at.astype(np.int64), last)
    second, share = np.minimum(first + 1, last), (at - first)[:, None]

    def between(values: Array) -> Array:
        mixed = (1 - share) * values[first].reshape(len(at), -1) + share * values[second].reshape(len(at), -1)
        return mixed.reshape(len(at), *values.shape[1:]).astype(np.float32)

    start, end = (
        Rotation.from_rotvec(motion.poses[i].reshape(-1, 3).astype(np.float64)) for i in (first, second)
    )
    turn = Rotation.from_rotvec(np.repeat(share, 24, axis=0) * (start.inv() * end).as_rotvec())
    return replace(
        motion,
        poses=(start * turn).as_rotvec().reshape(len(at), -1).astype(np.float32),
        trans=between(motion.trans),
        joints=None if motion.joints is None else between(motion.joints),
        frame=np.arange(len(at)),
        valid=motion.valid[np.round(at).astype(np.int64).clip(max=last)],
        fps=fps,
    )


def in_place(motion: Motion, up: Array) -> Array:
    """The poses (T, 72) turned to stand in a world with Y up, as an avatar at rest does, facing +Z where the
    motion faces the camera.

    Args:
        up: (3,) upwards in the motion's camera space, of length 1.
    """
    towards = np.array([0.0, 0.0, -1.0])
    towards = towards - (towards @ up) * up
    towards /= np.linalg.norm(towards)
    upright = Rotation.from_matrix(np.stack([np.cross(up, towards), up, towards]))
    poses = motion.poses.copy()
    poses[:, :3] = (upright * Rotation.from_rotvec(poses[:, :3].astype(np.float64))).as_rotvec()
    return poses
