"""numpy's archives (npz) from anywhere: nothing in them is run, and what they claim is checked before it is
read."""

import math
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import HsplatError, StageError
from models.files import open_regular

Array = NDArray[Any]

LARGEST = 2 * 2**30
"""Bytes of all the arrays that are read, unpacked: hours of motion, minutes of masks."""
_WORDS = 200  # characters of a library's complaint
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Unreadable(ValueError):
    """The file is no plain npz; the text says why."""


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, Array]:
    """The arrays of an npz file by name, all or those of `names` that it holds.

    Raises:
        OSError: the file cannot be read, or is no regular file.
        Unreadable: it is damaged or of another kind, holds Python objects, or is too large unpacked.
    """
    with open_regular(path) as stream, damage_told(), zipfile.ZipFile(stream) as archive:
        members = {_name(info.filename): info for info in archive.infolist()}
        wanted = {name: info for name, info in members.items() if names is None or name in names}
        if sum(info.file_size for info in wanted.values()) > LARGEST:
            raise Unreadable(f"it unpacks to more than {LARGEST >> 30} GiB")
        return {name: _array(archive, info) for name, info in wanted.items()}


def read_stored(path: Path, *required: str) -> dict[str, Array]:
    """The arrays of an npz file that the pipeline itself wrote.

    Raises:
        StageError: somebody has damaged it, or it lacks one that is required.
    """
    try:
        arrays = read_npz(path)
    except (OSError, Unreadable) as error:
        raise _damaged(path, str(error)) from error
    if missing := [name for name in required if name not in arrays]:
        raise _damaged(path, f"it lacks {', '.join(missing)}")
    return arrays


def _damaged(path: Path, reason: str) -> StageError:
    return StageError(f"{path} is damaged: {reason}.", f"Run again with --redo {path.parent.name}.")


def names_in(path: Path) -> set[str]:
    """The names of an npz file's arrays; raises as `read_npz` does."""
    with open_regular(path) as stream, damage_told(), zipfile.ZipFile(stream) as archive:
        return {_name(member) for member in archive.namelist()}


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is stored column by column, and type of the array that a stream goes on with.

    Raises:
        Unreadable: it is none, or one of Python objects.
    """
    with damage_told():
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise Unreadable(f"it holds arrays of the format's version {version[0]}.{version[1]}")
        shape, by_column, dtype = _HEADERS[version](stream)
        if dtype.hasobject:
            raise Unreadable("it holds an array of type object, pickled, which is not loaded")
        if any(size < 0 for size in shape):
            raise Unreadable(f"it holds an array of shape {shape}")
    return shape, by_column, dtype


@contextmanager
def damage_told() -> Iterator[None]:
    """Turns whatever zipfile, zlib, struct and numpy raise at damaged files into `Unreadable`."""
    try:
        yield
    except (OSError, HsplatError, Unreadable):
        raise
    except Exception as error:
        raise Unreadable(str(error)[:_WORDS] or type(error).__name__) from error


def _name(member: str) -> str:
    return member.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    with archive.open(info) as stream:
        shape, _, dtype = read_header(stream)
    # numpy makes room for all that the header claims before it reads anything.
    if math.prod(shape) * max(1, dtype.itemsize) > info.file_size:
        raise Unreadable(f"`{_name(info.filename)[:_WORDS]}` is cut off")
    with archive.open(info) as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array
