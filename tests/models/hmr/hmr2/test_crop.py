"""The crop: against a plain reference, pixel by pixel."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from models.hmr.hmr2.crop import DEVIATION, MEAN, crop, squares


def picture(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(height, width, 3))
    smooth = gaussian_filter(noise, (3, 3, 0))
    return (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def reference(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    x0, y0, x1, y1 = box
    side = max(y1 - y0, (x1 - x0) * 256 / 192)
    source = image.astype(np.float64)
    if side / 256 / 2 > 1.1:
        sigma = (side / 512 - 1) / 2
        source = gaussian_filter(source, (sigma, sigma, 0), mode="nearest", truncate=4)
    pixels = np.arange(256) - 128
    rows, columns = (
        (y0 + y1) / 2 + pixels[:, None] * side / 256,
        (x0 + x1) / 2 + pixels[None, 32:-32] * side / 256,
    )
    places = np.broadcast_arrays(rows, columns)
    planes = [map_coordinates(source[..., c], places, order=1, mode="grid-constant") for c in range(3)]
    return np.stack([(plane / 255 - MEAN[c]) / DEVIATION[c] for c, plane in enumerate(planes)])


@pytest.mark.parametrize(
    "box",
    [
        (60, 40, 140, 290),  # taller than 4:3: its height counts
        (20, 100, 260, 300),  # wider: its width
        (100.3, 50.7, 160.2, 130.9),  # enlarged
        (-40, -60, 120, 150),  # over the edge
        (250, 320, 330, 420),  # nearly outside
    ],
)
def test_crops_are_the_reference_s(box: tuple[float, ...]) -> None:
    image = picture(360, 300)
    # OpenCV rounds places to a thirty-second of a pixel.
    np.testing.assert_allclose(crop(image, np.array(box)), reference(image, np.array(box)), atol=0.06)


def test_a_large_person_is_blurred_before_they_are_shrunk() -> None:
    image = picture(1000, 800)
    box = np.array([-300.0, -300, 1100, 1300])
    np.testing.assert_allclose(crop(image, box), reference(image, box), atol=0.06)


def test_a_box_beside_the_picture_gives_black() -> None:
    black = crop(picture(64, 48), np.array([500.0, 500, 520, 560]))
    np.testing.assert_allclose(black, np.broadcast_to((-MEAN / DEVIATION)[:, None, None], (3, 256, 192)))


def test_squares() -> None:
    centres, sides = squares(np.array([[0.0, 0, 30, 100], [0, 0, 90, 100]]))
    np.testing.assert_allclose(centres, [[15, 50], [45, 50]])
    np.testing.assert_allclose(sides, [100, 120])
