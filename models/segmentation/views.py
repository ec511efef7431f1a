"""Where the low-resolution maps of Segment Anything lie in the picture, and how they follow the subject."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Map = NDArray[np.float32]

CONTEXT = 0.25  # of the box's longer side, shown around it
GRID, GRID_REACH = 64, 1.2  # cells along each side of a raster; its size in boxes
EDGE = 1.5  # pixels from outside to inside, as wide as a lens makes it
SMALL = 1e-6


@dataclass(frozen=True)
class View:
    """The part of the picture that the network sees, and its map's cells.

    Attributes:
        x0, y0, width, height: the part, in pixels.
        side: of the square that the network takes, in its own pixels; the longer side of the part fills it.
        cells: of its low-resolution map, along each side of the square.
    """

    x0: int
    y0: int
    width: int
    height: int
    side: int
    cells: int

    @classmethod
    def around(cls, box: Array, picture: tuple[int, int], side: int, cells: int) -> "View":
        """The view of a box with what lies around it.

        Args:
            box: (4,) x0 y0 x1 y1 in pixels.
            picture: (width, height).
        """
        margin = CONTEXT * max(box[2] - box[0], box[3] - box[1])
        low = np.clip(np.floor(box[:2] - margin), 0, np.array(picture) - 1).astype(int)
        high = np.clip(np.ceil(box[2:] + margin), low + 1, picture).astype(int)
        (x0, y0), (width, height) = low.tolist(), (high - low).tolist()
        return cls(x0, y0, width, height, side, cells)

    @property
    def region(self) -> tuple[slice, slice]:
        """Rows and columns of the picture."""
        return slice(self.y0, self.y0 + self.height), slice(self.x0, self.x0 + self.width)

    @property
    def shown(self) -> tuple[int, int]:
        """(width, height) of the part in the network's pixels."""
        scale = self.side / max(self.width, self.height)
        return max(1, round(self.width * scale)), max(1, round(self.height * scale))

    @property
    def scale(self) -> Array:
        """(2,) the network's pixels in one of the picture, along x and y."""
        return np.array(self.shown) / (self.width, self.height)

    def to_network(self, points: Array) -> Array:
        """Points (..., 2) of the picture in the network's pixels, centres at +0.5 in both."""
        return (points - (self.x0, self.y0)) * self.scale

    def to_cells(self) -> tuple[Array, Array]:
        """(2,) factor and (2,) offset from the picture's pixels to the map's cells."""
        factor = self.scale * self.cells / self.side
        return factor, -factor * (self.x0, self.y0)


def coverage(logits: Map, view: View, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The coverage of every pixel by what lies within a map's zero level.

    The level's distance from a pixel is the value there over the length of its gradient, to first order; the
    coverage rises linearly over the width of an edge. So it does not depend on the logits' steepness.

    Args:
        logits: (cells, cells), positive inside.
        shape: (H, W) of the picture.

    Returns:
        (H, W) from 0 to 255, inside; 0 outside the view.
    """
    factor, offset = view.to_cells()
    values = _resampled(logits, factor, offset + factor * (view.x0, view.y0), (view.width, view.height))
    across, down = (
        cv2.Sobel(values, cv2.CV_32F, *axis, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)
        for axis in ((1, 0), (0, 1))
    )
    share = values / (cv2.magnitude(across, down) * np.float32(EDGE) + np.float32(SMALL)) + np.float32(0.5)
    picture = np.zeros(shape, np.uint8)
    picture[view.region] = cv2.convertScaleAbs(np.clip(share, 0, 1, out=share), alpha=255)
    return picture


def raster(logits: Map, view: View, box: Array) -> NDArray[np.bool_]:
    """What a map covers, (GRID, GRID), on a grid that moves and grows with the box.

    Equal cells of two frames' rasters are the same place relative to the subject's box.
    """
    factor, offset = view.to_cells()
    size = GRID_REACH * (box[2:] - box[:2])
    corner = (box[:2] + box[2:] - size) / 2
    step, start = factor * size / GRID, offset + factor * corner
    places = start + step * (np.arange(GRID)[:, None] + 0.5)
    seen = (places >= 0) & (places <= np.array(view.shown) * view.cells / view.side)
    return (_resampled(logits, step, start, (GRID, GRID)) > 0) & seen[None, :, 0] & seen[:, None, 1]


def moved(logits: Map, view: View, box: Array, to_view: View, to_box: Array) -> Map:
    """A frame's map in another frame's cells, moved and scaled as the subject's box was."""
    factor, offset = view.to_cells()
    to_factor, to_offset = to_view.to_cells()
    growth = (box[2:] - box[:2]) / (to_box[2:] - to_box[:2])
    # cell there -> pixel there -> the same place of the box, pixel here -> cell here
    step = factor * growth / to_factor
    start = offset + factor * (box[:2] - growth * to_box[:2]) - step * to_offset
    return _resampled(logits, step, start, (to_view.cells, to_view.cells))


def _resampled(values: Map, step: Array, start: Array, size: tuple[int, int]) -> Map:
    """Values at start + step (i + 0.5) for i below `size` (width, height); cell centres lie at +0.5."""
    first = start + 0.5 * step - 0.5
    matrix = np.array([[step[0], 0, first[0]], [0, step[1], first[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(values, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32
    )
