"""Pictures for people: outlines of a body, labels, panels. All images are RGB uint8 (H, W, 3)."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Array = NDArray[np.floating]
Color = tuple[int, int, int]

_NEAR = 0.05
_SUBPIXEL_BITS = 4


def project(points: Array, K: Array) -> NDArray[np.float64]:
    """Camera-space points (..., 3), z > 0, to pixels (..., 2); pixel centres lie at +0.5."""
    homogeneous = np.asarray(points, np.float64) @ np.asarray(K, np.float64).T
    return np.asarray(homogeneous[..., :2] / homogeneous[..., 2:])


def silhouette(vertices: Array, faces: NDArray[np.integer], K: Array, width: int, height: int) -> Image:
    """The region that a closed mesh covers in the picture.

    Args:
        vertices: (V, 3) camera space; triangles nearer than 5 cm are left out.
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.

    Returns:
        (height, width), 255 inside and 0 outside.
    """
    in_front = vertices[:, 2] > _NEAR
    pixels = project(np.where(in_front[:, None], vertices, [0, 0, 1]), K)
    a, b, c = (pixels[faces[:, corner]] for corner in range(3))
    # Of a closed surface the near side is enough: y points down, so its triangles turn the other way.
    facing = (b - a)[:, 0] * (c - a)[:, 1] < (b - a)[:, 1] * (c - a)[:, 0]
    whole = in_front[faces[:, 0]] & in_front[faces[:, 1]] & in_front[faces[:, 2]]
    kept = np.stack([a, b, c], axis=1)[facing & whole]
    # OpenCV counts pixel centres at 0; the clip keeps its fixed-point coordinates from overflowing.
    fixed = np.clip((kept - 0.5) * 2**_SUBPIXEL_BITS, -(2**24), 2**24).round().astype(np.int32)
    region = np.zeros((height, width), np.uint8)
    for triangle in fixed:
        cv2.fillConvexPoly(region, triangle, 255, cv2.LINE_8, _SUBPIXEL_BITS)
    return region


def outline(image: Image, region: Image, color: Color, thickness: int = 2, fill: float = 0.0) -> None:
    """Draws the contour of a region (H, W) into the image and tints its inside by `fill` in [0, 1]."""
    if fill:
        inside = region > 0
        image[inside] = ((1 - fill) * image[inside] + fill * np.array(color)).astype(np.uint8)
    contours, _ = cv2.findContours(region, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, contours, -1, color, thickness, cv2.LINE_AA)


def label(image: Image, parts: Sequence[tuple[str, Color]], size: int = 14) -> None:
    """Writes words beside one another, each in its colour, on a dark strip in the upper left corner."""
    font = cv2.FontFace("sans")
    gap, pad = size, size // 2
    widths = [cv2.getTextSize((0, 0), text, (0, 0), font, size, 500)[2] for text, _ in parts]
    right, bottom = sum(widths) + gap * (len(parts) - 1) + 3 * pad, size + 2 * pad
    strip = image[pad : pad + bottom, pad : pad + right]
    strip[:] = (0.35 * strip).astype(np.uint8)
    x = pad + pad * 3 // 2
    for (text, color), width in zip(parts, widths, strict=True):
        cv2.putText(image, text, (x, pad + bottom - pad - size // 7), color, font, size, 500)
        x += width + gap


def beside(panels: Sequence[Image]) -> Image:
    """Pictures of one height in a row."""
    return np.concatenate(panels, axis=1)
