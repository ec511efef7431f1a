"""What a video file holds, found without decoding more than one picture."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from stages.limits import bounded_memory

# What may be opened. Playlists and image sequences are left out, since they name further files; a few audio
# formats are in, so that a sound file is called one.
FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,gif,apng,mxf,mxf_opatom,dv,nut,ivf,rm,wtv,"
    "yuv4mpegpipe,h264,hevc,m4v,av1,obu,mjpeg,mp3,wav,flac,aac,aiff,amr"
)
PROTOCOLS = "file"
MAX_PIXELS = 8192 * 8192
MAX_PICTURES = 4_000_000  # 18 hours, 60 a second
MAX_RATE = 10_000.0  # pictures a second; cameras for slow motion make 1,000
MIN_SIDE = 32
DIAGONAL_35MM = math.hypot(36.0, 24.0)

TRY_ANOTHER = "Give a video file such as an MP4 or MOV from a phone."
EXPORT_AGAIN = "Copy it from the camera again, or convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"


@dataclass(frozen=True)
class VideoInfo:
    """What `probe` found.

    Attributes:
        path: the file.
        stream: index of the video stream among the file's streams.
        times: (N,) seconds on the file's clock of its pictures in the order of display.
        start: seconds on the file's clock where the file as a whole begins.
        width, height: upright and in square pixels, as a player shows it.
        focal_35mm: the lens' focal length in millimetres on 35 mm film, where the camera wrote it down.
        missing: seconds that the header promises and the file lacks.
    """

    path: Path
    stream: int
    times: NDArray[np.float64]
    start: float
    width: int
    height: int
    focal_35mm: float | None
    missing: float

    @property
    def rate(self) -> float:
        """Pictures per second, gaps (dropped frames, pauses) left out of account; 0 for a single picture."""
        steps = np.diff(self.times)
        steps = steps[steps > 0]
        return float(1.0 / steps[steps <= 1.5 * np.median(steps)].mean()) if len(steps) else 0.0


def probe(path: Path) -> VideoInfo:
    """Read a video's sizes, times and what its metadata say about the lens.

    Raises:
        InputError: it is missing, empty, no video, without pictures, or its pictures are too large or small.
    """
    _check_file(path)
    try:
        with bounded_memory(), opened(path) as container:
            return _probe_container(path, container)
    except MemoryError as error:
        raise InputError(f"{path} claims to hold more than fits into memory.", EXPORT_AGAIN) from error
    except av.error.FFmpegError as error:
        raise InputError(f"{path} is not a video that can be read: {error.strerror}.", TRY_ANOTHER) from error


def opened(path: Path) -> av.container.InputContainer:
    """The file as PyAV has it: of no other formats than ours, and with nothing that it refers to.

    Raises:
        av.error.FFmpegError: it is no such file.
    """
    return av.open(
        f"file:{path}",
        options={"protocol_whitelist": PROTOCOLS, "format_whitelist": FORMATS},
        metadata_errors="replace",
    )


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not a video.", "Give one video file.")
        if not path.exists():
            raise InputError(f"{path} does not exist.", "Check the path.")
        if not path.is_file():
            raise InputError(f"{path} is not a regular file.", TRY_ANOTHER)
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty.", EXPORT_AGAIN)
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error


def _probe_container(path: Path, container: av.container.InputContainer) -> VideoInfo:
    stream = next((s for s in container.streams.video if not _is_cover(s)), None)
    if stream is None:
        raise InputError(f"{path} holds no moving pictures (a sound file?).", TRY_ANOTHER)
    if stream.codec_context is None:
        raise InputError(f"{path}: its pictures are of a kind that cannot be decoded.", EXPORT_AGAIN)
    _check_size(path, stream.width, stream.height)
    first, stamps = _scan(container, stream)
    if first is None:
        raise InputError(f"{path}: none of its pictures can be decoded.", EXPORT_AGAIN)
    times = _times(stamps, stream)
    width, height = _upright(first, stream.sample_aspect_ratio)
    _check_size(path, width, height)
    video = VideoInfo(
        path=path,
        stream=stream.index,
        times=times,
        start=(container.start_time or 0) / av.time_base,
        width=width,
        height=height,
        focal_35mm=_focal_35mm([stream.metadata, container.metadata]),
        missing=_missing(times, _promised_seconds(container, stream)),
    )
    if video.rate > MAX_RATE:
        raise InputError(f"{path}: its clock counts {video.rate:.3g} pictures a second.", EXPORT_AGAIN)
    return video


def _is_cover(stream: av.video.stream.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: {width}x{height} pixels are too many.", "Scale it to 4K or less first.")
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{path}: {width}x{height} pixels are too few to show a person.", TRY_ANOTHER)


def _scan(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> tuple[av.VideoFrame | None, list[int | None]]:
    """The first picture that decodes, and the time stamps of all packets that will be shown."""
    first: av.VideoFrame | None = None
    stamps: list[int | None] = []
    try:
        for packet in container.demux(stream):
            if len(stamps) > MAX_PICTURES:
                raise InputError(f"More than {MAX_PICTURES} pictures are too many.", "Cut the video first.")
            if packet.size and not packet.is_discard and not packet.is_corrupt:
                stamps.append(packet.dts if packet.pts is None else packet.pts)
            if first is None:
                first = _decode_one(packet)
    except av.error.FFmpegError:
        pass  # a damaged end: what came before it counts, and `_missing` tells
    return first, stamps


def _decode_one(packet: av.Packet) -> av.VideoFrame | None:
    try:
        return next(iter(packet.decode()), None)
    except av.error.FFmpegError:
        return None


def _times(stamps: list[int | None], stream: av.video.stream.VideoStream) -> NDArray[np.float64]:
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < len(stamps):  # a bare stream, without a clock
        return np.arange(len(stamps)) / float(stream.average_rate or stream.guessed_rate or 25)
    return np.sort(np.asarray(known, dtype=np.float64)) * float(stream.time_base or 1)


def _upright(frame: av.VideoFrame, pixel_aspect: object) -> tuple[int, int]:
    aspect = float(pixel_aspect or 1)  # type: ignore[arg-type]
    width, height = max(1, round(frame.width * aspect)), frame.height
    return (height, width) if round(frame.rotation / 90) % 2 else (width, height)


def _focal_35mm(tags: Iterable[dict[str, str]]) -> float | None:
    for key, value in (item for group in tags for item in group.items()):
        if "focal" in key.lower() and "35mm" in key.lower().replace("_", ""):
            try:
                focal = float(value.split()[0])
            except (ValueError, IndexError):
                continue
            if 5.0 <= focal <= 500.0:
                return focal
    return None


def _promised_seconds(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> float | None:
    if stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:  # with sound it may be the sound's
        return container.duration / av.time_base
    return None


def _missing(times: NDArray[np.float64], promised: float | None) -> float:
    if promised is None or len(times) < 2:
        return 0.0
    step = (times[-1] - times[0]) / (len(times) - 1)
    return max(0.0, promised - float(times[-1] - times[0] + step))
