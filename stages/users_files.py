"""Files of the user's with something for every frame: which belongs to which, and whether it fits."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from stages.frames import Frames

ASPECT_SLACK = 0.03


def places(path: Path, count: int, what: str, frames: Frames) -> NDArray[np.int64]:
    """(T,) which of `count` belongs to each of the T frames kept.

    Args:
        what: they are, in the plural.

    Raises:
        InputError: there are neither as many as frames kept nor as frames in the video.
    """
    if count == len(frames):
        return np.arange(count)
    if count == frames.source_frames:
        return frames.source_index
    raise InputError(
        f"{path} holds {count} {what}, but {len(frames)} frames are kept of {frames.source_frames}.",
        f"Give {what} for every frame kept, or for every frame of the video.",
    )


def files_in(folder: Path, suffixes: set[str]) -> list[Path]:
    """The files with one of these suffixes, in natural order: 2 before 10.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return sorted((file for file in folder.iterdir() if file.suffix.lower() in suffixes), key=_natural)
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}.", "Check its permissions.") from error


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def check_aspect(path: Path, width: int, height: int, frames: Frames) -> None:
    """Refuses what does not show the whole picture.

    Raises:
        InputError: its shape is not the video's.
    """
    if abs(width / height * frames.height / frames.width - 1) > ASPECT_SLACK:
        raise InputError(
            f"{path} is {width}x{height} pixels, which does not match the video's "
            f"{frames.source_width}x{frames.source_height}.",
            "It must cover the whole upright picture, at any size.",
        )
