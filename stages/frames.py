"""Stage frames: the video as upright pictures at an even rate, their times, the camera's intrinsics."""

import itertools
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.errors import InputError
from models.npz import read_stored
from stages.base import Settings, Stage, Work
from stages.disk import full_disk_told
from stages.images import numbered, read_image, write_image
from stages.probe import DIAGONAL_35MM, EXPORT_AGAIN, VideoInfo, probe
from stages.video import read_video

MIN_FRAMES = 8
RATE_SLACK = 0.98  # 30.1 pictures a second count as 30 when the stride is chosen

# Between a phone's main camera while filming (66 to 70 degrees across the diagonal) and a moderate zoom
# (50 to 55 degrees), which is how people are filmed in full length from some distance.
GUESSED_DIAGONAL_DEGREES = 60.0

# Focal lengths, in diagonals, that a user may give: from 157 degrees across the diagonal to less than 2.
FOCAL_RANGE = (0.1, 30.0)


class FramesSettings(Settings):
    """What is taken from the video.

    Pictures are taken evenly, every n-th of the source. A clip with more than `max_frames` is sampled more
    thinly, down to `min_fps`; of what is longer still the beginning is kept (`start`, `end` choose a part).
    """

    video: Path
    fps: float = Field(15.0, gt=0, le=240, description="at most so many pictures a second")
    min_fps: float = Field(5.0, gt=0, le=240, description="long clips are not sampled more thinly than this")
    max_frames: int = Field(150, ge=MIN_FRAMES, le=100_000)
    max_side: int = Field(720, ge=64, le=8192, description="longer side of the working picture, pixels")
    start: float = Field(0.0, ge=0, description="seconds to leave out at the beginning")
    end: float | None = Field(None, gt=0, description="seconds after which to stop; the clip's end if unset")
    focal: float | None = Field(None, gt=0, description="focal length in pixels of the source video")


@dataclass(frozen=True)
class Frames:
    """The published folder of this stage, as later stages read it.

    Attributes:
        folder: where it lies.
        times: (T,) seconds since the video's first picture.
        source_index: (T,) index into the video's pictures, in the order of display.
        fps: pictures per second.
        K: (3, 3) intrinsics of the working picture, pixel centres at +0.5.
        K_source: (3, 3) intrinsics of the source, upright and in square pixels.
        width, height: of the working picture.
        source_width, source_height: of the source, upright and in square pixels.
        source_frames: how many pictures the video holds.
        focal_source: "user", "metadata" or "guess".
    """

    folder: Path
    times: NDArray[np.float64]
    source_index: NDArray[np.int64]
    fps: float
    K: NDArray[np.float64]
    K_source: NDArray[np.float64]
    width: int
    height: int
    source_width: int
    source_height: int
    source_frames: int
    focal_source: str

    @classmethod
    def load(cls, folder: Path) -> "Frames":
        """Read what `run` wrote into `folder`; raises StageError where it is damaged."""
        names = [field.name for field in fields(cls) if field.name != "folder"]
        arrays = read_stored(folder / "frames.npz", *names)
        values: dict[str, Any] = {name: arrays[name] for name in names}
        scalars = {name: value.item() for name, value in values.items() if not value.ndim}
        return cls(folder, **(values | scalars))

    def __len__(self) -> int:
        return len(self.times)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Working picture `index` as (H, W, 3) RGB uint8."""
        return read_image(numbered(self.folder / "images", index))

    def images(self) -> Iterator[NDArray[np.uint8]]:
        """All working pictures, one at a time."""
        return (self.image(index) for index in range(len(self)))


@dataclass(frozen=True)
class Plan:
    """What to take, and what is lost by that.

    Attributes:
        index: (T,) the source's pictures to take.
        fps: pictures per second, gaps left out of account.
        dropped_seconds: what is left out at the end, since it is too much.
        gaps: pictures that are not there, since the source pauses.
    """

    index: NDArray[np.int64]
    fps: float
    dropped_seconds: float
    gaps: int


def run(work: Work) -> dict[str, Any]:
    """Write `images/*.png` and `frames.npz`.

    Raises:
        InputError: the video cannot be used.
        StageError: the disk is full.
    """
    settings: FramesSettings = work.settings
    video = probe(settings.video)
    plan = make_plan(video, settings)
    focal, focal_source = focal_length(video, settings.focal)
    with full_disk_told(work.output):
        times = _write_images(work, video, plan)
        source = (video.width, video.height)
        size = working_size(*source, settings.max_side)
        np.savez(
            work.output / "frames.npz",
            times=times,
            source_index=nearest(video.times - video.times[0], times),
            fps=plan.fps,
            K=intrinsics(focal, source, size),
            K_source=intrinsics(focal, source, source),
            width=size[0],
            height=size[1],
            source_width=source[0],
            source_height=source[1],
            source_frames=len(video.times),
            focal_source=focal_source,
        )
    return {
        "video": settings.video.name,
        "frames": len(times),
        "seconds": round(float(times[-1] - times[0]), 3),
        "fps": round(plan.fps, 3),
        "size": list(size),
        "source_frames": len(video.times),
        "source_fps": round(video.rate, 3),
        "source_size": list(source),
        "focal": round(focal, 1),
        "focal_source": focal_source,
        "warnings": _warnings(video, plan, len(times)),
    }


def _write_images(work: Work, video: VideoInfo, plan: Plan) -> NDArray[np.float64]:
    size = working_size(video.width, video.height, work.settings.max_side)
    (work.output / "images").mkdir()
    times: list[float] = []
    for time, image in _wanted(video, plan, size):
        write_image(numbered(work.output / "images", len(times)), image)
        times.append(time)
        work.progress(len(times), len(plan.index))
    if len(times) < MIN_FRAMES:
        raise InputError(
            f"{video.path}: only {len(times)} of {len(plan.index)} pictures can be decoded.", EXPORT_AGAIN
        )
    return np.asarray(times)


def _warnings(video: VideoInfo, plan: Plan, decoded: int) -> list[str]:
    warnings = []
    if plan.dropped_seconds:
        warnings.append(
            f"the last {plan.dropped_seconds:.1f} s are left out: more than max_frames at min_fps; "
            "choose another part by start and end"
        )
    if plan.gaps:
        warnings.append(f"the frame rate varies: {plan.gaps} pictures are missing in gaps")
    if video.missing > 0.5:
        warnings.append(f"the file is damaged: {video.missing:.1f} s at its end are missing")
    if decoded < len(plan.index):
        warnings.append(f"the file is damaged: {len(plan.index) - decoded} pictures cannot be decoded")
    return warnings


def make_plan(video: VideoInfo, settings: FramesSettings) -> Plan:
    """Choose the rate: a whole fraction of the source's, so that the pictures lie evenly in time.

    Raises:
        InputError: fewer than MIN_FRAMES pictures would be left.
    """
    inside = _inside(video, settings)
    rate = video.rate
    stride = max(1, math.ceil(RATE_SLACK * rate / settings.fps))
    sparsest = max(stride, math.floor(rate / settings.min_fps))
    while stride < sparsest and len(_taken(video, inside, stride)) > settings.max_frames:
        stride += 1
    while stride > 1 and len(_taken(video, inside, stride)) < MIN_FRAMES:
        stride -= 1
    taken = _taken(video, inside, stride)
    kept = taken[: settings.max_frames]
    span = video.times[kept[-1]] - video.times[kept[0]]
    return Plan(
        index=kept,
        fps=rate / stride,
        dropped_seconds=float(video.times[taken[-1]] - video.times[kept[-1]]),
        gaps=round(span * rate / stride) + 1 - len(kept),
    )


def _inside(video: VideoInfo, settings: FramesSettings) -> NDArray[np.int64]:
    """Indices of the pictures between `start` and `end`."""
    seconds = video.times - video.times[0]
    end = math.inf if settings.end is None else settings.end
    inside = np.flatnonzero((seconds >= settings.start - 1e-6) & (seconds <= end + 1e-6))
    if len(seconds) < MIN_FRAMES:
        count = "1 picture" if len(seconds) == 1 else f"{len(seconds)} pictures"
        raise InputError(
            f"{video.path} has {count}; at least {MIN_FRAMES} are needed.",
            "Film the person for some seconds, turning once around.",
        )
    if len(inside) < MIN_FRAMES:
        raise InputError(
            f"{video.path}, {seconds[-1]:.1f} s long, has {len(inside)} pictures between "
            f"{settings.start:g} and {end:g} s; at least {MIN_FRAMES} are needed.",
            "Change frames.start and frames.end.",
        )
    return inside


def _taken(video: VideoInfo, inside: NDArray[np.int64], stride: int) -> NDArray[np.int64]:
    """The first of `inside` in each cell of time, as `read_video` takes them."""
    seconds = video.times[inside] - video.times[inside[0]]
    _, first = np.unique(np.floor((seconds + 0.5 / video.rate) * video.rate / stride), return_index=True)
    return inside[first]


def working_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """(width, height) scaled down, never up, so that neither exceeds `max_side`."""
    scale = min(1.0, max_side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def focal_length(video: VideoInfo, given: float | None) -> tuple[float, str]:
    """Focal length in source pixels, and where it is from: "user", "metadata" or "guess".

    A camera's 35 mm equivalent is a matter of the picture's diagonal (CIPA DCG-001).

    Raises:
        InputError: the given one belongs to no camera that films people.
    """
    diagonal = math.hypot(video.width, video.height)
    if given is not None:
        if not FOCAL_RANGE[0] <= given / diagonal <= FOCAL_RANGE[1]:
            low, high = (round(factor * diagonal) for factor in FOCAL_RANGE)
            raise InputError(
                f"A focal length of {given:g} pixels is not that of {video.path}.",
                f"For its {video.width}x{video.height} pictures give --focal from {low} to {high}, in pixels "
                "of the video; or leave it out.",
            )
        return given, "user"
    if video.focal_35mm is not None:
        return video.focal_35mm / DIAGONAL_35MM * diagonal, "metadata"
    return diagonal / 2 / math.tan(math.radians(GUESSED_DIAGONAL_DEGREES) / 2), "guess"


def intrinsics(focal: float, source: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float64]:
    """(3, 3) intrinsics of the picture scaled from `source` to `size`, both (width, height).

    With pixel centres at +0.5 scaling a picture scales its coordinates: K = diag(sx, sy, 1) K_source.
    """
    scale_x, scale_y = size[0] / source[0], size[1] / source[1]
    return np.array([[focal * scale_x, 0, size[0] / 2], [0, focal * scale_y, size[1] / 2], [0, 0, 1]])


def _wanted(video: VideoInfo, plan: Plan, size: tuple[int, int]) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    seconds = video.times[plan.index] - video.times[0]
    with closing(read_video(video, size, every=1 / plan.fps, start=float(seconds[0]))) as pictures:
        for time, image in itertools.islice(pictures, len(plan.index)):
            if time > seconds[-1] + 0.5 / video.rate:
                break
            yield time, image


def nearest(sorted_values: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the nearest of `sorted_values` for each of `wanted`."""
    right = np.clip(np.searchsorted(sorted_values, wanted), 1, len(sorted_values) - 1)
    left_is_nearer = wanted - sorted_values[right - 1] <= sorted_values[right] - wanted
    return (right - left_is_nearer).astype(np.int64)


STAGE = Stage(
    name="frames",
    version=1,
    needs=(),
    settings=FramesSettings,
    run=run,
    engine=lambda settings: "ffmpeg",
    title="Reading the video",
)
