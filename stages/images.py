"""Pictures on disk: PNG in and out, failing loudly."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.files import read_bounded

TO_RGB = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}  # by the number of channels
LARGEST = 2**30  # bytes of a picture file
PNG_COMPRESSION = 1  # of 9: three times as fast as the default for a tenth more bytes


def numbered(folder: Path, index: int) -> Path:
    """Where the picture of frame `index` lies in a folder of one picture a frame."""
    return folder / f"{index:06d}.png"


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a PNG.

    Args:
        image: (H, W, 3) RGB, (H, W, 4) RGB with straight alpha or (H, W) grey, uint8.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    order = {(3, 3): cv2.COLOR_RGB2BGR, (3, 4): cv2.COLOR_RGBA2BGRA}.get((image.ndim, image.shape[-1]))
    pixels = image if order is None else cv2.cvtColor(image, order)
    # imencode, since imwrite leaves a cut file behind without a word when the disk is full
    _, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION])
    path.write_bytes(data.tobytes())


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) RGB uint8.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: it is no picture.
    """
    return np.asarray(cv2.cvtColor(_decode(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Read a mask or probability that a stage wrote, as (H, W) uint8; raises as `read_image` does."""
    return np.asarray(_decode(path, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def read_coverage(path: Path) -> NDArray[np.uint8]:
    """Read a mask as (H, W) uint8 coverage, however it was stored; raises as `read_image` does.

    Transparency counts where there is any, and else brightness. A mask of two values, of which one is 0, is
    taken as 0 and 255, be they 0 and 1 or black and a palette's colour.
    """
    pixels: NDArray[Any] = _decode(path, cv2.IMREAD_UNCHANGED)
    values = _shown(cv2.cvtColor(pixels, TO_RGB[pixels.shape[2]]) if pixels.ndim == 3 else pixels)
    kinds = np.unique(values)
    if len(kinds) == 2 and kinds[0] == 0:
        return np.where(values > 0, 255, 0).astype(np.uint8)
    return (values >> 8 if values.dtype == np.uint16 else values).astype(np.uint8)


def coverage(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Coverage (H, W) of a video's picture (H, W, 3) or RGBA (H, W, 4).

    Values stay as they are: a black picture that lossy compression left some ones in is black.
    """
    return _shown(pixels)


def _shown(pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W) transparency, where there is any, else brightness."""
    if pixels.ndim == 3:
        alpha = pixels[..., 3] if pixels.shape[2] == 4 else pixels[:0]
        transparent = (alpha < np.iinfo(pixels.dtype).max).any()
        pixels = alpha if transparent else np.asarray(cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY))
    return pixels


def _decode(path: Path, mode: int) -> NDArray[Any]:
    data = np.frombuffer(read_bounded(path, LARGEST), dtype=np.uint8)
    try:
        image = cv2.imdecode(data, mode) if data.size else None
    except cv2.error:  # for one, more pixels than OpenCV's limit
        image = None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"{path} is not a picture")
    return np.asarray(image)
