"""Video in and out through ffmpeg as a child process that never outlives the call."""

import errno
import functools
import itertools
import os
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import av
import ffmpeg
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from models.errors import InputError, StageError
from stages.limits import bound_child
from stages.probe import EXPORT_AGAIN, FORMATS, MAX_PIXELS, PROTOCOLS, VideoInfo, opened

CLOCK = 90_000  # ticks per second of the decoded stream; divides by every usual frame rate
THREADS = 2
SCALER = "bicubic+accurate_rnd+full_chroma_int"
CHANNELS = {"rgb24": 3, "rgba": 4}
LIBVPX = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
DOCTOR = "See what this machine lacks: hsplat-pipeline doctor"

Image = NDArray[np.uint8]

_MP4 = ("libx264", {"format": "mp4", "crf": 18, "preset": "veryfast", "movflags": "+faststart"})
# libvpx' speed for work that somebody waits for; its alternative reference frames would go without alpha.
_WEBM = (
    "libvpx-vp9",
    {
        "format": "webm",
        "crf": 24,
        "video_bitrate": 0,
        "deadline": "good",
        "cpu-used": 5,
        "row-mt": 1,
        "auto-alt-ref": 0,
    },
)


@functools.cache
def ffmpeg_executable(encoder: str = "") -> str:
    """The system's ffmpeg, or imageio-ffmpeg's where there is none (or none that has the encoder).

    Raises:
        StageError: neither is there.
    """
    for candidate in _candidates():
        if not encoder or encoder in _encoders(candidate):
            return candidate
    raise StageError(f"No ffmpeg {f'with {encoder} ' if encoder else ''}was found.", DOCTOR)


def _candidates() -> Iterator[str]:
    if on_path := shutil.which("ffmpeg"):
        yield on_path
    try:
        yield imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        return


def _encoders(executable: str) -> list[str]:
    call = [executable, "-hide_banner", "-encoders"]
    listing = subprocess.run(call, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    return listing.stdout.split()


def read_video(
    video: VideoInfo, size: tuple[int, int], every: float, start: float = 0.0
) -> Generator[tuple[float, Image]]:
    """Decode a video at an even rate, one picture at a time.

    Time from `start` on is cut into cells of `every` seconds, and the first picture in each is taken; a cell
    without one (a gap in a variable frame rate) gives none.

    Args:
        size: (width, height) to scale to.
        every: seconds between the pictures wanted.
        start: seconds after the video's first picture.

    Yields:
        seconds since the video's first picture, and the picture (height, width, 3) RGB uint8, upright.

    Raises:
        InputError: nothing can be decoded; what can be is yielded before.
    """
    origin = float(video.times[0])
    grid = _grid(origin + start, every, 0.5 / video.rate if video.rate else 0.0)
    stream = _source(video, **_seek(video, start)).filter("select", grid)
    with closing(_decoded(video, stream, size, "rgb24")) as pictures:
        for time, image in pictures:
            yield time - origin, image


def read_pictures(video: VideoInfo, size: tuple[int, int]) -> Generator[Image]:
    """Decode every picture of a video, (height, width, 4) RGBA uint8, upright, scaled to `size`.

    Opaque where the video has no transparency; raises as `read_video` does.
    """
    with closing(_decoded(video, _source(video, **_decoder(video)), size, "rgba")) as pictures:
        for _, image in pictures:
            yield image


def _source(video: VideoInfo, **options: Any) -> Any:
    return ffmpeg.input(
        f"file:{video.path}",
        protocol_whitelist=PROTOCOLS,
        format_whitelist=FORMATS,
        max_pixels=MAX_PIXELS,
        threads=THREADS,
        fflags="+discardcorrupt",
        **options,
    )[str(video.stream)]


def _decoder(video: VideoInfo) -> dict[str, str]:
    """ffmpeg's own decoders of VP8 and VP9 leave the transparency out; libvpx's do not."""
    with opened(video.path) as container:
        stream = container.streams[video.stream]
        name = stream.codec_context.name
        return {"vcodec": LIBVPX[name]} if name in LIBVPX and stream.metadata.get("alpha_mode") else {}


def _decoded(
    video: VideoInfo, stream: Any, size: tuple[int, int], pixels: str
) -> Generator[tuple[float, Image]]:
    """The pictures of an ffmpeg stream in a packed format of 8 bits a channel, with their times."""
    call = (
        stream.filter("scale", *size, flags=SCALER)
        .output("pipe:1", format="nut", vcodec="rawvideo", pix_fmt=pixels, enc_time_base=f"1:{CLOCK}")
        .global_args("-copyts", "-nostdin", "-loglevel", "error")
        .compile(cmd=ffmpeg_executable())
    )
    received = False
    with _child(call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as (process, complaints):
        for time, image in _nut_frames(process, size, CHANNELS[pixels]):
            received = True
            yield time, image
    if not received:
        raise InputError(f"{video.path} cannot be decoded: {_last(complaints)}.", EXPORT_AGAIN)


def _seek(video: VideoInfo, start: float) -> dict[str, float]:
    # ffmpeg counts from the beginning of the file, which is the sound's where that begins earlier
    position = start + float(video.times[0]) - video.start - 1.0
    return {"ss": round(position, 3)} if position > 0 else {}


def _grid(origin: float, every: float, lead: float) -> str:
    """ffmpeg's expression, true for the first picture of each cell; cells begin `lead` seconds early."""

    def cell(time: str) -> str:
        return f"floor(({time}-{origin - lead:.9f})/{every:.9f})"

    return f"gte({cell('t')},0)*(isnan(prev_pts)+gt({cell('t')},max(-1,{cell('prev_pts*TB')})))"


def _nut_frames(
    process: subprocess.Popen[bytes], size: tuple[int, int], channels: int
) -> Iterator[tuple[float, Image]]:
    assert process.stdout is not None
    width, height = size
    pipe = f"pipe:{process.stdout.fileno()}"  # read by Python, it would swallow exceptions, Ctrl-C among them
    try:
        with av.open(pipe, "r", format="nut", metadata_errors="replace") as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.size == width * height * channels and packet.pts is not None:
                    image = np.frombuffer(bytes(packet), np.uint8).reshape(height, width, channels)
                    yield float(packet.pts * packet.time_base), image
    except (av.error.FFmpegError, IndexError):
        return  # ffmpeg gave up; the caller has its words


def write_video(path: Path, frames: Iterable[Image], fps: float) -> int:
    """Write a video that browsers and players show: an MP4 (H.264, 4:2:0, its index in front); or, where the
    name ends in .webm, a WebM (VP9, 4:2:0), transparent if the pictures are.

    Args:
        path: where to; replaced if it exists.
        frames: pictures (H, W, 3) RGB uint8, or (H, W, 4) with straight alpha for a WebM, all of one size; an
            odd side gets its last line twice.
        fps: pictures per second.

    Returns:
        the number of pictures written.

    Raises:
        StageError: ffmpeg cannot encode, or the disk is full.
        ValueError: no frames, or frames of different sizes or types.
    On any failure the partly written file is removed.
    """
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError("a video needs at least one picture")
    call = _encoder_call(path, first, fps)
    try:
        with _child(call, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as (process, complaints):
            count = _feed(process, itertools.chain([first], pictures))
            failed = process.wait() != 0
        if failed:
            raise StageError(
                f"{path} could not be written: {_refusal(complaints)}.", "Make room and run again."
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return count


def _encoder_call(path: Path, first: Image, fps: float) -> list[str]:
    height, width, channels = _even(first).shape
    codec, options = _WEBM if path.suffix.lower() == ".webm" else _MP4
    given, written = ("rgba", "yuva420p") if channels == 4 else ("rgb24", "yuv420p")
    return (
        ffmpeg.input("pipe:0", format="rawvideo", pix_fmt=given, s=f"{width}x{height}", r=f"{fps:.6f}")
        .filter("scale", out_color_matrix="bt709", out_range="tv", flags=SCALER)
        .filter("format", written)
        .output(
            f"file:{path}",
            vcodec=codec,
            threads=THREADS,
            color_primaries="bt709",
            color_trc="bt709",
            colorspace="bt709",
            **options,
        )
        .global_args("-y", "-nostdin", "-loglevel", "error")
        .compile(cmd=ffmpeg_executable(codec))
    )


def _even(image: Image) -> Image:
    height, width = image.shape[:2]
    odd = (height % 2, width % 2)
    return np.pad(image, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge") if any(odd) else image


def _feed(process: subprocess.Popen[bytes], images: Iterable[Image]) -> int:
    assert process.stdin is not None
    shape, count = None, 0
    try:
        for image in images:
            shape = shape or image.shape
            if image.shape != shape or image.dtype != np.uint8:
                raise ValueError(f"picture {count} is {image.shape} {image.dtype}, not {shape} uint8")
            process.stdin.write(np.ascontiguousarray(_even(image)).data)
            count += 1
        process.stdin.close()
    except BrokenPipeError:
        pass  # ffmpeg has ended; its exit status and words say why
    return count


@contextmanager
def _child(call: list[str], stdin: int, stdout: int) -> Iterator[tuple[subprocess.Popen[bytes], deque[str]]]:
    """Run ffmpeg; when the block is left, however, it has ended. With it come its last lines of complaint."""
    complaints: deque[str] = deque(maxlen=20)
    process = subprocess.Popen(call, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
    listener = threading.Thread(target=_listen, args=(process, complaints), daemon=True)
    listener.start()
    try:
        bound_child(process)
        yield process, complaints
    finally:
        process.kill()
        process.wait()
        listener.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _listen(process: subprocess.Popen[bytes], complaints: deque[str]) -> None:
    assert process.stderr is not None
    complaints.extend(line.decode(errors="replace").strip() for line in process.stderr)


def _refusal(complaints: deque[str]) -> str:
    """The disk's refusal where ffmpeg names one among the errors that follow from it, else its last words."""
    said = "\n".join(complaints)
    refusals = (os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
    return next((refusal for refusal in refusals if refusal in said), _last(complaints))


def _last(complaints: deque[str]) -> str:
    return complaints[-1].rstrip(".") if complaints else "ffmpeg gave no reason"
