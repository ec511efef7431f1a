"""What is to be drawn: which pose from which camera, picture by picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.avatar import Avatar, a_pose, framing, turntable
from models.body.posture import up_axis
from models.cameras import Camera
from models.errors import InputError
from stages.render.cameras import Cameras
from stages.render.motions import Source, in_place, read_motion, resampled

Array = NDArray[np.floating]
Around = Literal["orbit", "turntable"]

LARGEST = 8192  # pixels of a side of a picture
TURN_SECONDS = 3.0
TURN_FPS = 24.0
_UNSEEN_SIZE = (720, 720)  # of a motion that no camera saw
_TURN_SIZE = (480, 640)


@dataclass(frozen=True, eq=False)
class Take:
    """Pictures that belong together.

    Attributes:
        name: "" where there is only one take.
        poses: (n,72), trans: (n,3): the avatar in each picture.
        cameras: n, one for each; all of one size.
        fps: pictures a second.
    """

    name: str
    poses: Array
    trans: Array
    cameras: Sequence[Camera]
    fps: float

    def __len__(self) -> int:
        return len(self.poses)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.cameras[0].width, self.cameras[0].height


def plan(
    avatar: Avatar,
    motion: Path | None = None,
    cameras: Path | None = None,
    around: Around | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
) -> tuple[list[Take], tuple[str, ...]]:
    """What to draw for a call of `render`.

    Args:
        avatar: keeps its own shape; its pelvis is where the motion's is.
        motion: motion.npz, AMASS npz or BVH. Without it there is a turntable of the A-pose.
        cameras: cameras.npz.
        around: "orbit": the motion's camera goes once around the middle of the person's path. "turntable": a
            level camera goes once around the person, who moves in place.
        size: width and height of the pictures; else the cameras', the motion's video's, or a usual one.
        fps: pictures a second; the motion is resampled, unless its cameras belong to its frames.

    Returns:
        The takes, and notes for the user.

    Raises:
        InputError: a file cannot be used, the files do not fit each other, or the pictures would be beyond
            `LARGEST`.
    """
    takes, notes = _takes(avatar, motion, cameras, around, size, fps)
    for width, height in {take.size for take in takes}:
        if max(width, height) > LARGEST:
            raise InputError(
                f"{cameras or motion}: pictures of {width} x {height} pixels are too large.",
                f"Give a --size of up to {LARGEST} pixels a side.",
            )
    return takes, notes


def _takes(
    avatar: Avatar,
    motion: Path | None,
    cameras: Path | None,
    around: Around | None,
    size: tuple[int, int] | None,
    fps: float | None,
) -> tuple[list[Take], tuple[str, ...]]:
    if around == "turntable" and motion is None:
        rate = fps or TURN_FPS
        return [_turn(avatar, a_pose(), size, rate, max(1, round(TURN_SECONDS * rate)))], ()
    if motion is None:
        raise InputError("There is no motion to draw.", "Give one with --motion, or --turntable.")
    source = read_motion(motion, avatar)
    if cameras:
        return _filmed(avatar, source, Cameras.load(cameras, size), fps), source.notes
    played = resampled(source.motion, fps or source.motion.fps)
    source = Source(played, source.camera, source.notes)
    if around == "turntable":
        poses = in_place(played, up_axis(played))
        return [_turn(avatar, poses, size, played.fps, len(played))], source.notes
    camera = _camera(source, size)
    path = [camera] * len(played)
    if around == "orbit":
        path = _orbit(avatar, source, camera)
    return [_take(avatar, source, np.arange(len(played)), path)], source.notes


def _turn(avatar: Avatar, poses: Array, size: tuple[int, int] | None, fps: float, count: int) -> Take:
    """One turn around poses in place, in `count` pictures."""
    cameras = turntable(avatar, *(size or _TURN_SIZE), count, poses)
    return Take("", np.broadcast_to(poses, (count, 72)), np.zeros((count, 3)), cameras, fps)


def _take(
    avatar: Avatar, source: Source, frames: NDArray[np.int64], cameras: Sequence[Camera], name: str = ""
) -> Take:
    trans = avatar.trans_for(source.motion).cpu().numpy()
    return Take(name, source.motion.poses[frames], trans[frames], cameras, source.motion.fps)


def _camera(source: Source, size: tuple[int, int] | None) -> Camera:
    """The one that saw the motion, or one that has all of it in the picture."""
    if source.camera is not None:
        return source.camera.resized(*size) if size else source.camera
    assert source.motion.joints is not None
    return framing(source.motion.joints, *(size or _UNSEEN_SIZE))


def _orbit(avatar: Avatar, source: Source, camera: Camera) -> list[Camera]:
    """The camera once around the middle of the pelvis' path."""
    path = source.motion.pelvis(avatar.rest_joints[0].cpu())
    center, up, count = (path.min(0) + path.max(0)) / 2, up_axis(source.motion), len(path)
    return [camera.orbited(center, up, 2 * np.pi * step / count) for step in range(count)]


def _filmed(avatar: Avatar, source: Source, file: Cameras, fps: float | None) -> list[Take]:
    """Every camera with the frames that it is for: docs/formats.md, "cameras.npz"."""
    cameras, count = file.cameras, len(source.motion)
    if file.frame is not None:
        if file.frame.max() >= count:
            raise InputError(
                f"{file.path}: `frame` goes up to {file.frame.max()}, the motion has {count} frames.",
                "Count the motion's frames from 0.",
            )
        take = _take(avatar, source, file.frame, cameras)
    elif count == 1 or len(cameras) == count:
        frames = np.arange(count) if count > 1 else np.zeros(len(cameras), np.int64)
        take = _take(avatar, source, frames, cameras)
    else:
        played = Source(resampled(source.motion, fps or source.motion.fps), None)
        frames = np.arange(len(played.motion))
        names = [f"cam{number}" if len(cameras) > 1 else "" for number in range(len(cameras))]
        return [
            _take(avatar, played, frames, [camera] * len(frames), name)
            for name, camera in zip(names, cameras, strict=True)
        ]
    return [Take("", take.poses, take.trans, take.cameras, fps or take.fps)]
