"""Stage masks: the subject's coverage of every pixel, from an engine or from the user's own pictures."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from stages.base import Device, Settings, Stage, Work
from stages.disk import full_disk_told
from stages.frames import Frames
from stages.images import numbered, read_coverage, read_grey, write_image

SAMPLES = 24  # pictures from which the scene is learnt
MIN_SHARE = 0.05  # of the subject's box: a smaller mask is none
ASPECT_SLACK = 0.03
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}

Mask = NDArray[np.uint8]
Facts = dict[str, Any]


class MasksSettings(Settings):
    """Who draws the masks.

    `folder` holds the user's own, in the order of their names: one for every frame kept, or one for every
    frame of the video. It goes before any engine.
    """

    engine: Literal["auto", "blazepose"] = "auto"
    device: Device = "auto"
    folder: Path | None = None


@dataclass(frozen=True)
class Subject:
    """Where the chosen person is: (T, 4) boxes x0 y0 x1 y1 in pixels, and (T,) whether they are seen."""

    boxes: NDArray[np.float64]
    valid: NDArray[np.bool_]

    @classmethod
    def load(cls, folder: Path) -> "Subject":
        """Read it from the folder that stage detect published."""
        with np.load(folder / "subject.npz", allow_pickle=False) as file:
            return cls(file["boxes"].astype(np.float64), file["valid"].astype(bool))


def run(work: Work) -> dict[str, Any]:
    """Write `000000.png` ... and `masks.npz`.

    Raises:
        InputError: the user's masks do not fit, or no frame has a usable mask.
        StageError: the disk is full.
    """
    frames, subject = Frames.load(work.inputs["frames"]), Subject.load(work.inputs["detect"])
    masks, facts = ENGINES[work.engine](work, frames, subject)
    valid = np.zeros(len(frames), dtype=bool)
    with full_disk_told(work.output):
        for index, mask in enumerate(masks):
            write_image(numbered(work.output, index), mask)
            valid[index] = subject.valid[index] and _shows_subject(mask, subject.boxes[index])
            work.progress(index + 1, len(frames))
        if not valid.any():
            raise _nobody(work.settings.folder)
        np.savez(work.output / "masks.npz", valid=valid)
    return {"frames": len(frames), "valid": int(valid.sum()), **facts}


def _shows_subject(mask: Mask, box: NDArray[np.float64]) -> bool:
    x0, y0, x1, y1 = np.maximum(np.round(box), 0).astype(int)
    inside = mask[y0:y1, x0:x1]
    return bool(inside.size and (inside > 127).mean() >= MIN_SHARE)


def _nobody(folder: Path | None) -> InputError:
    if folder is None:
        return InputError("No frame has a usable mask of the person.", "Film the person whole and well lit.")
    return InputError(
        f"{folder}: no mask covers the person chosen.",
        "Check that the masks belong to this video, or use --person.",
    )


def refined_silhouettes(work: Work, frames: Frames, subject: Subject) -> tuple[Iterator[Mask], Facts]:
    """BlazePose's masks, as stage detect wrote them, brought to the picture's edges."""
    from models.segmentation import learn_scene, refine_silhouette

    def probability(index: int) -> NDArray[np.float32]:
        path = numbered(work.inputs["detect"] / "silhouettes", index)
        return read_grey(path).astype(np.float32) / np.float32(255)

    seen = np.flatnonzero(subject.valid)
    if not len(seen):
        raise _nobody(None)
    chosen = seen[np.unique(np.linspace(0, len(seen) - 1, SAMPLES).round().astype(int))]
    scene = learn_scene([frames.image(i) for i in chosen], [probability(i) for i in chosen])

    def masks() -> Iterator[Mask]:
        for index in range(len(frames)):
            if subject.valid[index]:
                box = subject.boxes[index]
                coverage = refine_silhouette(frames.image(index), probability(index), scene, box)
                yield np.round(255 * coverage).astype(np.uint8)
            else:
                yield np.zeros((frames.height, frames.width), dtype=np.uint8)

    return masks(), {"still_camera": scene.background is not None}


def users_masks(work: Work, frames: Frames, subject: Subject) -> tuple[Iterator[Mask], Facts]:
    """The user's own pictures, chosen to match the frames kept and scaled to them."""
    folder: Path = work.settings.folder
    files = pictures_for_frames(folder, frames)
    return (_read_mask(file, frames) for file in files), {"source": str(folder)}


def pictures_for_frames(folder: Path, frames: Frames) -> list[Path]:
    """The picture files of `folder` for the T frames kept, in natural order (2 before 10).

    Raises:
        InputError: it is no folder, or holds neither T pictures nor one for each of the video's.
    """
    try:
        files = sorted((f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES), key=_natural)
    except OSError as error:
        raise InputError(
            f"{folder} is not a readable folder of masks.", "Give a folder of PNG files."
        ) from error
    if len(files) == len(frames):
        return files
    if len(files) == frames.source_frames:
        return [files[index] for index in frames.source_index]
    raise InputError(
        f"{folder} holds {len(files)} masks, but {len(frames)} frames are kept of {frames.source_frames}.",
        "Give one mask for every frame kept, or one for every frame of the video.",
    )


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _read_mask(file: Path, frames: Frames) -> Mask:
    try:
        mask = read_coverage(file)
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as a picture.", "Give masks as PNG files.") from error
    height, width = mask.shape
    if abs(width / height * frames.height / frames.width - 1) > ASPECT_SLACK:
        raise InputError(
            f"{file} is {width}x{height} pixels, which does not match the video's "
            f"{frames.source_width}x{frames.source_height}.",
            "Masks must show the whole upright picture, at any size.",
        )
    shrinks = width > frames.width
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask, (frames.width, frames.height), interpolation=interpolation), np.uint8)


ENGINES: dict[str, Callable[[Work, Frames, Subject], tuple[Iterator[Mask], Facts]]] = {
    "blazepose": refined_silhouettes,
    "file": users_masks,
}


def choose_engine(settings: MasksSettings) -> str:
    """The engine's name: "file" where the user gives masks, else that asked for, else the best."""
    if settings.folder is not None:
        return "file"
    return "blazepose" if settings.engine == "auto" else settings.engine


STAGE = Stage(
    name="masks",
    version=1,
    needs=("frames", "detect"),
    settings=MasksSettings,
    run=run,
    engine=choose_engine,
    title="Drawing the silhouette",
)
