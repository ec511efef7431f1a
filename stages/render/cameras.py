"""cameras.npz: from where a motion is to be seen. docs/formats.md, "cameras.npz"."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.cameras import Camera
from models.errors import InputError
from stages.arrays import Shape, read_arrays

Array = NDArray[Any]

NEEDS = (
    "It needs K (C,3,3) in pixels and T_world_cam (C,4,4), camera to world, the world being the space of the "
    "motion; docs/formats.md has the rest."
)
_KNOWN: dict[str, Shape] = {
    "K": (..., 3, 3),
    "T_world_cam": ("C", 4, 4),
    "frame": ("C",),
    "width": (),
    "height": (),
}
_RIGID = 1e-3  # largest error of a rotation's products of columns


@dataclass(frozen=True, eq=False)
class Cameras:
    """C cameras.

    Attributes:
        path: of the file.
        cameras: all of one size.
        frame: (C,) the motion's frame that each sees, or None.
    """

    path: Path
    cameras: list[Camera]
    frame: NDArray[np.int64] | None

    @classmethod
    def load(cls, path: Path, size: tuple[int, int] | None = None) -> "Cameras":
        """Reads and checks the file.

        Args:
            size: width and height of the pictures wanted; without it, those that `K` is for.

        Raises:
            InputError: an array is missing or no camera's.
        """
        data = read_arrays(path, _KNOWN, ("K", "T_world_cam"), NEEDS)
        places = data["T_world_cam"]
        if data["K"].shape not in ((3, 3), (len(places), 3, 3)):
            raise InputError(
                f"{path}: `K` has shape {data['K'].shape}, expected (3, 3) or {(len(places), 3, 3)}.", NEEDS
            )
        if problem := _no_place(places):
            raise InputError(f"{path}: {problem}.", NEEDS)
        K = np.broadcast_to(data["K"], (len(places), 3, 3))
        own = _size(path, data, K, size)
        try:
            cameras = [Camera(k, *own, np.linalg.inv(place)) for k, place in zip(K, places, strict=True)]
        except ValueError as error:
            raise InputError(f"{path}: {error}.", NEEDS) from error
        resized = [camera.resized(*size) for camera in cameras] if size else cameras
        return cls(path, resized, _frames(path, data))


def _no_place(places: Array) -> str | None:
    """Why the matrices are no cameras' places, or None."""
    turns = places[:, :3, :3]
    if (
        np.abs(turns.transpose(0, 2, 1) @ turns - np.eye(3)).max() > _RIGID
        or (np.linalg.det(turns) < 0).any()
    ):
        return "`T_world_cam` holds more than rotation and translation"
    if np.abs(places[:, 3] - [0, 0, 0, 1]).max() > _RIGID:
        return "the last row of `T_world_cam` is not 0 0 0 1"
    return None


def _size(path: Path, data: dict[str, Array], K: Array, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height that K is for: the file's, else those wanted, else twice the principal point."""
    if ("width" in data) != ("height" in data):
        there, lacking = ("width", "height") if "width" in data else ("height", "width")
        raise InputError(f"{path}: there is `{there}`, but no `{lacking}`.", NEEDS)
    if "width" in data:
        width, height = float(data["width"]), float(data["height"])
    elif wanted:
        width, height = wanted
    else:
        width, height = 2 * K[0, 0, 2], 2 * K[0, 1, 2]
    if not (1 <= round(width) <= 2**15 and 1 <= round(height) <= 2**15):
        raise InputError(f"{path}: pictures of {width:g} x {height:g} pixels cannot be drawn.", NEEDS)
    return round(width), round(height)


def _frames(path: Path, data: dict[str, Array]) -> NDArray[np.int64] | None:
    if "frame" not in data:
        return None
    with np.errstate(invalid="ignore"):  # what no integer can be is not whole
        frames = data["frame"].astype(np.int64)
    if not np.array_equal(frames, data["frame"]) or frames.min() < 0:
        raise InputError(f"{path}: `frame` must be whole numbers from 0 up.", NEEDS)
    return frames
