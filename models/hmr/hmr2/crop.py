"""The pictures that HMR 2.0 was trained on: a square around the person, 256 pixels, its sides cut off to 192.

As 4D-Humans cuts them out, so that the network sees what it knows.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

SIDE, CUT = 256, 32
ASPECT = 192 / 256
"""Width by height that a box is made to have, at least."""
BLURRED_ABOVE = 1.1
"""Pixels of the picture, halved, to a pixel of the crop from which the picture is blurred first."""
REACH = 4.0
"""Standard deviations at which the blur's kernel ends."""
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def squares(boxes: Array) -> tuple[Array, Array]:
    """The squares around boxes.

    Args:
        boxes: (..., 4) x0 y0 x1 y1 pixels.

    Returns:
        Their centres (..., 2) and sides (...,), pixels: a box is widened or heightened to 3:4, and its longer
        side is the square's.
    """
    low, high = boxes[..., :2], boxes[..., 2:]
    width, height = np.moveaxis(high - low, -1, 0)
    return (low + high) / 2, np.maximum(height, width / ASPECT)


def crop(image: Image, box: Array) -> NDArray[np.float32]:
    """What the network sees of a person.

    Args:
        image: (H, W, 3) uint8 RGB.
        box: (4,) x0 y0 x1 y1 pixels around the person; may reach over the picture's edges.

    Returns:
        (3, 256, 192) float32, normalised; black where there is no picture.
    """
    centre, side = squares(np.asarray(box, np.float64))
    patch = _warped(*_softened(image, centre, float(side)), float(side)) / np.float32(255)
    normalised = (patch - MEAN) / DEVIATION
    return np.ascontiguousarray(normalised[:, CUT:-CUT].transpose(2, 0, 1))


def _softened(image: Image, centre: Array, side: float) -> tuple[NDArray[np.float32], Array]:
    """The part of the picture that matters, without the detail that the crop cannot show; the centre in it.

    A Gaussian of half as many pixels as the crop is shrunk by more than twofold, which is what the training's
    pictures went through.
    """
    shrunk = side / SIDE / 2
    sigma = (shrunk - 1) / 2 if shrunk > BLURRED_ABOVE else 0.0
    reach = int(REACH * sigma + 0.5)
    size = np.array(image.shape[1::-1])
    low = np.clip(np.floor(centre - side / 2).astype(int) - reach - 1, 0, size)
    high = np.clip(np.ceil(centre + side / 2).astype(int) + reach + 2, 0, size)
    part = image[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    if sigma and part.size:
        kernel = (2 * reach + 1, 2 * reach + 1)
        part = np.asarray(cv2.GaussianBlur(part, kernel, sigma, borderType=cv2.BORDER_REPLICATE))
    return part, centre - low


def _warped(part: NDArray[np.float32], centre: Array, side: float) -> NDArray[np.float32]:
    """(256, 256, 3) the square, by bilinear interpolation.

    The box's centre falls on the crop's pixel 128, counted from 0 in both, as in the training.
    """
    if not part.size:  # the square lies beside the picture
        return np.zeros((SIDE, SIDE, 3), np.float32)
    scale = SIDE / side
    offset = SIDE / 2 - scale * centre
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    return np.asarray(cv2.warpAffine(part, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR), np.float32)
