"""The user's own masks: a folder of pictures or a video."""

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
from stages.users_files import check_aspect, files_in, places
from stages.video import read_pictures

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


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
    files = files_in(folder, SUFFIXES)
    return (_read_mask(files[index], frames) for index in places(folder, len(files), "masks", frames))


def _read_mask(file: Path, frames: Frames) -> Mask:
    try:
        mask = read_coverage(file)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}.", "Check its permissions.") from error
    except ValueError as error:
        raise InputError(f"{file} cannot be read as a picture.", "Give masks as PNG files.") from error
    height, width = mask.shape
    check_aspect(file, width, height, frames)
    shrinks = width > frames.width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask, (frames.width, frames.height), interpolation=interpolation), np.uint8)


def masks_of_video(path: Path, frames: Frames) -> Iterator[Mask]:
    """The masks of the T frames kept, from a video's pictures: their transparency where there is any, else
    their brightness.

    Raises:
        InputError: it is no video, of another shape, or has neither T pictures nor as many as the clip.
    """
    video = probe(path)
    check_aspect(path, video.width, video.height, frames)
    wanted = places(path, len(video.times), "masks", frames)
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
