"""The clip's pictures as the viewer shows them behind the avatar: small JPEGs."""

import cv2

from models.drawing import Image
from stages.export.clip import Clip, evenly
from stages.export.footage import whole_picture

MOST_BYTES = 12 * 2**20
"""Of all pictures together; base64 makes a third more of it."""

QUALITIES = (75, 60, 45, 30, 15)
_SAMPLE = 8


def background(clip: Clip, height: int) -> list[bytes]:
    """Every frame as JPEG of at most `height` lines, in the best of `QUALITIES` that keeps them within
    `MOST_BYTES`, or else in the least. A height of 0 gives none."""
    if height == 0:
        return []
    window = whole_picture(clip, height)
    sample = [window.of(clip.frames.image(index)) for index in evenly(range(len(clip.frames)), _SAMPLE)]
    quality = fitting_quality(sample, MOST_BYTES * len(sample) // len(clip.frames))
    return [encoded(window.of(clip.frames.image(index)), quality) for index in range(len(clip.frames))]


def fitting_quality(images: list[Image], most_bytes: int) -> int:
    """The best of `QUALITIES` that keeps the images together within so many bytes, else the least."""
    sizes = ((quality, sum(len(encoded(image, quality)) for image in images)) for quality in QUALITIES)
    return next((quality for quality, size in sizes if size <= most_bytes), QUALITIES[-1])


def encoded(image: Image, quality: int) -> bytes:
    """An RGB image as JPEG."""
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
