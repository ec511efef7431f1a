"""The user's own depth maps: an npz, a folder of 16-bit PNGs, or one of EXRs."""

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.files import open_regular, read_bounded
from models.npz import LARGEST, Unreadable, damage_told, read_header
from stages.base import Work, counted
from stages.depth.exr import read_exr
from stages.depth.maps import KINDS, write_maps
from stages.frames import Frames
from stages.users_files import check_aspect, files_in, places

MIN_SIDE, MAX_PIXELS = 8, 8192 * 8192
FORM = (
    "Give an npz with `disparity` (T,h,w), relative, or `depth` (T,h,w) in metres, 0 = unknown, "
    "for every frame kept or every frame of the video; or a folder of PNGs of 16 bits, or of EXRs."
)


def own_maps(work: Work) -> dict[str, Any]:
    """Write the user's maps of the frames kept, cleaned, no larger than the working picture.

    Raises:
        InputError: they cannot be read, or do not fit the video.
        StageError: the disk is full.
    """
    frames = Frames.load(work.inputs["frames"])
    path: Path = work.settings.file
    with _folder(work, frames) if path.is_dir() else _archive(path, frames) as (kind, maps):
        cleaned = (_cleaned(values, frames) for values in counted(maps, len(frames), work.progress))
        written = write_maps(work.output / "depth.npz", kind, cleaned, len(frames), compact=False)
    if written.known == 0:
        raise InputError(f"{path}: `{kind}` has no positive value in the frames kept.", FORM)
    return {"depth": kind, "size": [written.width, written.height], "known": round(written.known, 4)}


@contextmanager
def _folder(work: Work, frames: Frames) -> Iterator[tuple[str, Iterator[NDArray[Any]]]]:
    """The maps of a folder with one picture a frame."""
    folder: Path = work.settings.file
    files = files_in(folder, {".png", ".exr"})
    if len({file.suffix.lower() for file in files}) > 1:
        raise InputError(f"{folder} holds both PNGs and EXRs.", "Give a folder with one of the two.")
    wanted = places(folder, len(files), "maps", frames)
    yield work.settings.pictures, _read_pictures([files[i] for i in wanted], work.settings.png_scale, frames)


def _read_pictures(files: list[Path], scale: float, frames: Frames) -> Iterator[NDArray[Any]]:
    shape = None
    for file in files:
        values = _read_png(file) / np.float32(scale) if file.suffix.lower() == ".png" else read_exr(file)
        if shape is None:
            _check_shape(file, values.shape, frames)
        elif values.shape != shape:
            raise InputError(
                f"{file} is {values.shape[1]}x{values.shape[0]} pixels, {files[0].name} "
                f"{shape[1]}x{shape[0]}.",
                "All maps must have one size.",
            )
        shape = values.shape
        yield values


def _read_png(file: Path) -> NDArray[np.uint16]:
    try:
        data = np.frombuffer(read_bounded(file, LARGEST), np.uint8)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.", "Check its permissions.") from error
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error:  # for one, more pixels than OpenCV's limit
        pixels = None
    if pixels is None:
        raise InputError(f"{file} cannot be read as a picture.", "Write it again.")
    if pixels.dtype != np.uint16 or pixels.ndim != 2:
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        raise InputError(
            f"{file} has {channels} channel(s) of {8 * pixels.itemsize} bits, which is no depth map.",
            "Give PNGs with one channel of 16 bits.",
        )
    return np.asarray(pixels, np.uint16)


@contextmanager
def _archive(path: Path, frames: Frames) -> Iterator[tuple[str, Iterator[NDArray[Any]]]]:
    """The maps of an npz."""
    with _member(path) as (kind, stream):
        yield kind, _maps_of_frames(path, stream, frames)


@contextmanager
def _member(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The array to use as a stream, since maps of a whole long video may not fit into memory."""
    with ExitStack() as opened:
        with _refused(path):
            archive = opened.enter_context(zipfile.ZipFile(opened.enter_context(open_regular(path))))
            kind = next((kind for kind in KINDS if f"{kind}.npy" in archive.namelist()), None)
            if kind is None:
                raise InputError(f"{path} has neither `disparity` nor `depth`.", FORM)
            stream = opened.enter_context(archive.open(f"{kind}.npy"))
        yield kind, stream


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """What the archive's damage makes libraries raise, as an InputError."""
    try:
        with damage_told():
            yield
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", FORM) from error
    except Unreadable as error:
        raise InputError(f"{path} cannot be read as an npz file: {error}.", FORM) from error


def _maps_of_frames(path: Path, stream: IO[bytes], frames: Frames) -> Iterator[NDArray[Any]]:
    """The (h, w) maps of the frames kept, one at a time."""
    shape, dtype = _header(path, stream)
    _check_shape(path, shape[1:], frames)
    wanted = places(path, shape[0], "maps", frames)
    size = dtype.itemsize * shape[1] * shape[2]
    position = 0
    for index in wanted:
        with _refused(path):
            stream.seek((int(index) - position) * size, 1)
            data = stream.read(size)
        if len(data) < size:
            raise InputError(f"{path} is cut off.", "Write it again.")
        position = int(index) + 1
        yield np.frombuffer(data, dtype=dtype).reshape(shape[1:])


def _header(path: Path, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with _refused(path):
        shape, fortran_order, dtype = read_header(stream)
    if dtype.kind not in "fiu":
        raise InputError(f"{path} holds values of type {dtype}, not numbers.", FORM)
    if fortran_order:
        raise InputError(f"{path} is stored column by column.", "Save it with numpy.ascontiguousarray.")
    if len(shape) != 3:
        raise InputError(f"{path} holds an array of shape {shape}, not (T, h, w).", FORM)
    return shape, dtype


def _check_shape(path: Path, shape: tuple[int, ...], frames: Frames) -> None:
    height, width = shape
    if min(shape) < MIN_SIDE:
        raise InputError(f"{path}: maps of {width}x{height} are too small.", FORM)
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: maps of {width}x{height} are too large.", "Scale them down.")
    check_aspect(path, width, height, frames)


def _cleaned(image: NDArray[Any], frames: Frames) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what overflows is infinite, so unknown
        values: NDArray[Any] = image.astype(np.float32)
    values[~np.isfinite(values) | (values < 0)] = 0
    if values.shape[0] > frames.height:  # nearest, since an average with unknown values would be wrong
        values = cv2.resize(values, (frames.width, frames.height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(values, dtype=np.float32)
