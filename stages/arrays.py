"""Files of plain arrays that the user made: read, and refused where they are not what they should be."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.npz import Unreadable, read_npz

Array = NDArray[Any]
Shape = tuple[Any, ...]


def read_arrays(
    path: Path, known: Mapping[str, Shape], required: tuple[str, ...], advice: str
) -> dict[str, Array]:
    """The known arrays of an npz file, checked; numbers other than bytes as float64.

    Args:
        known: shapes by name: sizes by name agree within one file, None is any size, ... any sizes before.
        required: of these, what must be there.
        advice: what the file needs, for the user.

    Raises:
        InputError: the file cannot be read, lacks an array, or one is not of its shape or not finite.
    """
    try:
        arrays = read_npz(path, known)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", advice) from error
    except Unreadable as error:
        raise InputError(f"{path} is not a plain npz file ({error}).", advice) from error
    if missing := [name for name in required if name not in arrays]:
        raise InputError(f"{path} lacks {', '.join(f'`{name}`' for name in missing)}.", advice)
    sizes: dict[str, int] = {}
    for name, value in arrays.items():
        if not _fits(value.shape, known[name], sizes):
            expected = _written(known[name], sizes)
            raise InputError(f"{path}: `{name}` has shape {value.shape}, expected {expected}.", advice)
        if value.dtype.kind not in "fiub" or not np.isfinite(value).all():
            raise InputError(f"{path}: `{name}` holds values that are not finite numbers.", advice)
    return {name: v if v.dtype == np.uint8 else v.astype(np.float64) for name, v in arrays.items()}


def _fits(shape: tuple[int, ...], expected: Shape, sizes: dict[str, int]) -> bool:
    """Whether a shape is the expected one; the first to have a named size decides it."""
    if expected[:1] == (...,):
        expected = expected[1:]
        shape = shape[len(shape) - len(expected) :]
    if len(shape) != len(expected) or 0 in shape:
        return False
    return all(
        size == (sizes.setdefault(want, size) if isinstance(want, str) else size if want is None else want)
        for size, want in zip(shape, expected, strict=True)
    )


def _written(shape: Shape, sizes: Mapping[str, int]) -> str:
    names = {None: "any", ...: "..."}
    parts = [str(names.get(size, sizes.get(size, size))) for size in shape]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
