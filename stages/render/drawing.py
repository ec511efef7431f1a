"""Drawing what was planned, into videos and folders of pictures."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar import Avatar
from stages.base import Progress, counted, silent
from stages.images import numbered, write_image
from stages.render.planning import Take
from stages.video import write_video

Image = NDArray[np.uint8]
Color = tuple[float, float, float]

VIDEOS = (".mp4", ".webm")
FOLDER = ".png"
"""What the pictures of a folder are."""


def write_pictures(
    path: Path, avatar: Avatar, take: Take, background: Color | None, progress: Progress = silent
) -> None:
    """Draws a take on the avatar's device.

    Args:
        path: a video by its suffix, one of `VIDEOS`; else an existing folder, which gets 000000.png ...
        background: RGB in [0, 1] behind the avatar; None leaves the pictures transparent, with straight alpha
            (an .mp4 cannot be).

    Raises:
        StageError: ffmpeg cannot encode, or the disk is full.
        OSError: a picture cannot be written.
    """
    images = counted(drawn(avatar, take, background), len(take), progress)
    if path.suffix.lower() in VIDEOS:
        write_video(path, images, take.fps)
    else:
        for number, image in enumerate(images):
            write_image(numbered(path, number), image)


def drawn(avatar: Avatar, take: Take, background: Color | None) -> Iterator[Image]:
    """(H, W, 3) over the background, or (H, W, 4) with straight alpha."""
    behind = None if background is None else torch.tensor(background)
    for poses, trans, camera in zip(take.poses, take.trans, take.cameras, strict=True):
        with torch.inference_mode():
            picture = avatar.pose(poses, trans).render(camera, behind).cpu()
        yield _bytes(picture) if behind is not None else straight(picture)


def straight(picture: Tensor) -> Image:
    """A rendering (H, W, 4) with colour premultiplied by alpha, as uint8 with straight alpha.

    Where nothing is drawn the colour is black.
    """
    values = picture.numpy()
    solid = np.divide(
        values[..., :3], values[..., 3:], where=values[..., 3:] > 0, out=np.zeros_like(values[..., :3])
    )
    return _bytes(np.concatenate((solid, values[..., 3:]), axis=-1))


def _bytes(values: Tensor | NDArray[np.floating]) -> Image:
    """Rounded, and kept within 0 and 255."""
    return np.asarray(cv2.convertScaleAbs(np.asarray(values, np.float32), alpha=255), np.uint8)
