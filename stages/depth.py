"""Stage depth: how far away every pixel is, from the user's own file; without one the depth loss is off."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from stages.base import Device, Settings, Stage, Work
from stages.disk import full_disk_told
from stages.frames import Frames

ASPECT_SLACK = 0.03
MIN_SIDE, MAX_PIXELS = 8, 8192 * 8192
KINDS = ("depth", "disparity")  # the first that the file has is used
FORM = (
    "Give an npz with `disparity` (T,h,w), relative, or `depth` (T,h,w) in metres, 0 = unknown, "
    "for every frame kept or every frame of the video."
)


class DepthSettings(Settings):
    """Who estimates depth.

    `file` is the user's own npz: `depth` (T,h,w) in metres or `disparity` (T,h,w), the inverse depth of any
    scale and shift; 0, negative and non-finite values are unknown. It goes before any engine.
    """

    engine: Literal["auto", "none"] = "auto"
    device: Device = "auto"
    file: Path | None = None


def run(work: Work) -> dict[str, Any]:
    """Write `depth.npz`, or nothing where the engine is "none".

    Raises:
        InputError: the user's file cannot be used.
        StageError: the disk is full.
    """
    return ENGINES[work.engine](work)


def no_depth(work: Work) -> dict[str, Any]:
    """Write nothing, and say so."""
    return {"depth": "none", "warnings": ["no depth maps: the depth loss is off"]}


def users_depth(work: Work) -> dict[str, Any]:
    """The user's maps of the frames kept, cleaned, no larger than the working picture."""
    frames = Frames.load(work.inputs["frames"])
    path: Path = work.settings.file
    with _member(path) as (kind, stream):
        maps = np.stack([_cleaned(image, frames) for image in _maps_of_frames(path, stream, frames)])
    known = float((maps > 0).mean())
    if known == 0:
        raise InputError(f"{path}: `{kind}` has no positive value in the frames kept.", FORM)
    with full_disk_told(work.output):
        np.savez(work.output / "depth.npz", allow_pickle=False, **{kind: maps})
    return {"depth": kind, "size": [maps.shape[2], maps.shape[1]], "known": round(known, 4)}


@contextmanager
def _member(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The array to use as a stream, since maps of a whole long video may not fit into memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            kind = next((kind for kind in KINDS if f"{kind}.npy" in archive.namelist()), None)
            if kind is None:
                raise InputError(f"{path} has neither `disparity` nor `depth`.", FORM)
            with archive.open(f"{kind}.npy") as stream:
                yield kind, stream
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read as an npz file: {error}.", FORM) from error


def _maps_of_frames(path: Path, stream: IO[bytes], frames: Frames) -> Iterator[NDArray[Any]]:
    """The (h, w) maps of the frames kept, one at a time."""
    shape, dtype = _header(path, stream)
    _check_shape(path, shape, frames)
    wanted = np.arange(len(frames)) if shape[0] == len(frames) else frames.source_index
    size = dtype.itemsize * shape[1] * shape[2]
    position = 0
    for index in wanted:
        stream.seek((int(index) - position) * size, 1)
        data = stream.read(size)
        if len(data) < size:
            raise InputError(f"{path} is cut off.", "Write it again.")
        position = int(index) + 1
        yield np.frombuffer(data, dtype=dtype).reshape(shape[1:])


def _header(path: Path, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran_order, dtype = read(stream)
    except ValueError as error:
        raise InputError(f"{path} cannot be read as an npz file: {error}.", FORM) from error
    if dtype.kind not in "fiu":
        raise InputError(f"{path} holds values of type {dtype}, not numbers.", FORM)
    if fortran_order:
        raise InputError(f"{path} is stored column by column.", "Save it with numpy.ascontiguousarray.")
    return shape, dtype


def _check_shape(path: Path, shape: tuple[int, ...], frames: Frames) -> None:
    if len(shape) != 3 or min(shape[1:]) < MIN_SIDE:
        raise InputError(f"{path} holds an array of shape {shape}, not (T, h, w).", FORM)
    if shape[1] * shape[2] > MAX_PIXELS:
        raise InputError(f"{path}: maps of {shape[2]}x{shape[1]} are too large.", "Scale them down.")
    if shape[0] not in (len(frames), frames.source_frames):
        raise InputError(
            f"{path} holds {shape[0]} maps, but {len(frames)} frames are kept of {frames.source_frames}.",
            FORM,
        )
    if abs(shape[2] / shape[1] * frames.height / frames.width - 1) > ASPECT_SLACK:
        raise InputError(
            f"{path}: maps of {shape[2]}x{shape[1]} do not match the video's "
            f"{frames.source_width}x{frames.source_height}.",
            "Maps must cover the whole upright picture, at any size.",
        )


def _cleaned(image: NDArray[Any], frames: Frames) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what overflows is infinite, so unknown
        values: NDArray[Any] = image.astype(np.float32)
    values[~np.isfinite(values) | (values < 0)] = 0
    if values.shape[0] > frames.height:  # nearest, since an average with unknown values would be wrong
        values = cv2.resize(values, (frames.width, frames.height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(values, dtype=np.float32)


ENGINES: dict[str, Callable[[Work], dict[str, Any]]] = {"none": no_depth, "file": users_depth}


def choose_engine(settings: DepthSettings) -> str:
    """The engine's name: "file" where the user gives one, else "none"."""
    return "none" if settings.file is None else "file"


STAGE = Stage(
    name="depth",
    version=1,
    needs=("frames",),
    settings=DepthSettings,
    run=run,
    engine=choose_engine,
    title="Estimating depth",
)
