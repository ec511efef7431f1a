"""The user's own masks: a folder of pictures or a video."""

import re
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from stages.base import Work
from stages.frames import Frames
from stages.images import coverage, read_coverage
from stages.masks.drawing import Drawing, Mask, Subject
from stages.probe import EXPORT_AGAIN, probe
from stages.video import read_pictures

ASPECT_SLACK = 0.03
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
NUMBER = "Give one mask for every frame kept, or one for every frame of the video."


def own_masks(work: Work, frames: Frames, subject: Subject) -> Drawing:
    """The user's own, chosen to match the frames kept and scaled to them.

    Raises:
        InputError: they cannot be read, or do not fit the video in number or shape.
    """
    path: Path = work.settings.file
    read = masks_of_folder if path.is_dir() else masks_of_video
    return Drawing(read(path, frames), {"source": str(path)})


def masks_of_folder(folder: Path, frames: Frames) -> Iterator[Mask]:
    """The masks of the T frames kept, from pictures in natural order (2 before 10).

    Raises:
        InputError: it cannot be read, or holds neither T pictures nor one for each of the video's.
    """
    try:
        files = sorted((f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES), key=_natural)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    return (_read_mask(files[index], frames) for index in places(folder, len(files), frames))


def places(path: Path, count: int, frames: Frames) -> NDArray[np.int64]:
    """(T,) which of `count` masks belongs to each of the frames kept.

    Raises:
        InputError: there are neither as many as frames kept nor as frames in the video.
    """
    if count == len(frames):
        return np.arange(count)
    if count == frames.source_frames:
        return frames.source_index
    raise InputError(
        f"{path} holds {count} masks, but {len(frames)} frames are kept of {frames.source_frames}.", NUMBER
    )


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _read_mask(file: Path, frames: Frames) -> Mask:
    try:
        mask = read_coverage(file)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.", "Check its permissions.") from error
    except ValueError as error:
        raise InputError(f"{file} cannot be read as a picture.", "Give masks as PNG files.") from error
    height, width = mask.shape
    _check_aspect(file, width, height, frames)
    shrinks = width > frames.width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask, (frames.width, frames.height), interpolation=interpolation), np.uint8)


def _check_aspect(path: Path, width: int, height: int, frames: Frames) -> None:
    if abs(width / height * frames.height / frames.width - 1) > ASPECT_SLACK:
        raise InputError(
            f"{path} is {width}x{height} pixels, which does not match the video's "
            f"{frames.source_width}x{frames.source_height}.",
            "Masks must show the whole upright picture, at any size.",
        )


def masks_of_video(path: Path, frames: Frames) -> Iterator[Mask]:
    """The masks of the T frames kept, from a video's pictures: their transparency where there is any, else
    their brightness.

    Raises:
        InputError: it is no video, of another shape, or has neither T pictures nor as many as the clip.
    """
    video = probe(path)
    _check_aspect(path, video.width, video.height, frames)
    wanted = places(path, len(video.times), frames)
    return _masks_of_video(path, wanted, read_pictures(video, (frames.width, frames.height)))


def _masks_of_video(
    path: Path, wanted: NDArray[np.int64], pictures: Generator[NDArray[np.uint8]]
) -> Iterator[Mask]:
    following, found = iter(wanted), 0
    with closing(pictures):
        index = next(following, None)
        for number, picture in enumerate(pictures):
            while number == index:
                found += 1
                yield coverage(picture)
                index = next(following, None)
            if index is None:
                return
    raise InputError(f"{path}: only {found} of the {len(wanted)} masks needed can be decoded.", EXPORT_AGAIN)
