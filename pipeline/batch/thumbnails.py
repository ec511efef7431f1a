"""A small picture of a finished clip: the person, the avatar, and the avatar from the side."""

import logging
from pathlib import Path

from pipeline.batch.outcomes import Outcome

log = logging.getLogger(__name__)

NAME = "thumbnail.jpg"
_WIDTH = 480  # pixels
_QUALITY = 82


def thumbnail(outcome: Outcome) -> Path | None:
    """The picture in the clip's workspace, made anew where the video is newer; None where there is none."""
    video, picture = outcome.clip.folder / "export" / "avatar.mp4", outcome.clip.folder / NAME
    try:
        if "export" not in outcome.seconds or not video.is_file():
            return None
        if not picture.is_file() or picture.stat().st_mtime_ns < video.stat().st_mtime_ns:
            _draw(video, picture)
        return picture
    except Exception:  # a picture less; whatever the video's decoder says
        log.exception("no thumbnail of %s", video)
        return None


def _draw(video: Path, picture: Path) -> None:
    import cv2  # an up-to-date batch needs no decoder

    from stages.probe import opened

    with opened(video) as container:
        stream = container.streams.video[0]
        if stream.duration:
            container.seek(stream.duration // 2, stream=stream)
        frame = next(container.decode(stream))
        image = frame.to_ndarray(format="bgr24")
    height = max(1, round(image.shape[0] * _WIDTH / image.shape[1]))
    small = cv2.resize(image, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    partial = picture.with_name(f".{picture.name}.partial")
    partial.unlink(missing_ok=True)  # which may be a link to anywhere
    partial.write_bytes(data.tobytes())
    partial.replace(picture)
