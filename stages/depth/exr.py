"""Depth maps in OpenEXR, as renderers write them; needs the package OpenEXR (the extra `exr`)."""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.files import open_regular

MAX_VALUES = 4 * 8192 * 8192
CHANNELS = (
    "Z",
    "DEPTH",
    "V",
    "Y",
    "R",
)  # the last part of a name; the first one found is used


def read_exr(path: Path) -> NDArray[np.float32]:
    """The map (h, w) of a file.

    Raises:
        InputError: it cannot be read, is damaged, has no such channel, or the package is not installed.
    """
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError(
            f"{path} needs the package OpenEXR, which is not installed.",
            "Install the extra `exr` (uv sync --extra exr), or give an npz or PNGs of 16 bits.",
        ) from error
    try:
        open_regular(path).close()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints warnings
            _check_size(path, OpenEXR.File(str(path), separate_channels=True, header_only=True).header())
            file = OpenEXR.File(str(path), separate_channels=True)
            channels: dict[str, Any] = file.channels()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path} is damaged, or no EXR file.", "Write it again.") from error
    found = {name.split(".")[-1].upper(): channel for name, channel in channels.items()}
    channel = next((found[name] for name in CHANNELS if name in found), None)
    if channel is None:
        raise InputError(
            f"{path} has no depth channel but {', '.join(channels)}.",
            "Name the channel Z (or depth, V, Y, R).",
        )
    return np.asarray(channel.pixels, np.float32)


def _check_size(path: Path, header: dict[str, Any]) -> None:
    """Refuses pictures whose header alone says that they do not fit."""
    low, high = (np.asarray(corner, np.int64) for corner in header["dataWindow"])
    width, height = (high - low + 1).tolist()
    if width * height * len(header["channels"]) > MAX_VALUES:
        raise InputError(f"{path}: {width}x{height} pixels are too many.", "Scale it down.")
