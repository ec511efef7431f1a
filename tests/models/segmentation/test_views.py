"""Where a network's cells lie in the picture, on discs whose place is known."""

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from models.segmentation.choice import iou
from models.segmentation.views import EDGE, View, coverage, moved, raster

PICTURE = (320, 240)
SIDE, CELLS = 256, 64


def box_of(x: float, y: float, radius: float) -> NDArray[np.float64]:
    return np.array([x - radius, y - radius, x + radius, y + radius])


def view_of(box: NDArray[np.float64]) -> View:
    return View.around(box, PICTURE, SIDE, CELLS)


def disc(view: View, x: float, y: float, radius: float, steepness: float = 1.0) -> NDArray[np.float32]:
    """The signed distance in pixels to a circle of the picture, at the view's cells."""
    factor, offset = view.to_cells()
    places = (np.arange(CELLS)[:, None] + 0.5 - offset) / factor
    distance = radius - np.hypot(places[None, :, 0] - x, places[:, None, 1] - y)
    return (steepness * distance).astype(np.float32)


@lru_cache
def truth(x: float, y: float, radius: float) -> NDArray[np.float64]:
    """The disc's coverage as pixels of the picture, 8 x 8 samples in each."""
    rows, columns = np.mgrid[: 8 * PICTURE[1], : 8 * PICTURE[0]] / 8 + 1 / 16
    inside = np.hypot(columns - x, rows - y) < radius
    return inside.reshape(PICTURE[1], 8, PICTURE[0], 8).mean((1, 3))


def test_a_view_shows_the_box_with_what_lies_around_it() -> None:
    view = view_of(np.array([100.0, 80, 140, 160]))
    assert (view.x0, view.y0, view.width, view.height) == (80, 60, 80, 120)
    assert view.shown == (171, 256)
    clipped = view_of(np.array([-10.0, 80, 330, 300]))
    assert (clipped.x0, clipped.width) == (0, PICTURE[0])
    assert clipped.y0 + clipped.height == PICTURE[1]


def test_corners_of_the_view_are_corners_of_what_the_network_sees() -> None:
    view = view_of(np.array([100.0, 80, 140, 160]))
    np.testing.assert_allclose(view.to_network(np.array([[80.0, 60], [160, 180]])), [[0, 0], view.shown])


@pytest.mark.parametrize("steepness", [0.05, 1.0, 40.0])
def test_coverage_is_that_of_the_zero_level_however_steep(steepness: float) -> None:
    x, y, radius = 150.3, 120.8, 60.4
    view = view_of(box_of(x, y, radius))
    drawn = coverage(disc(view, x, y, radius, steepness), view, PICTURE[::-1])
    found, wanted = drawn / 255, truth(x, y, radius)
    assert found.shape == wanted.shape
    assert abs(found.sum() / wanted.sum() - 1) < 2e-3
    assert np.minimum(found, wanted).sum() / np.maximum(found, wanted).sum() > 0.98
    assert np.abs(found - wanted).max() < 0.35
    soft = np.count_nonzero((found > 0) & (found < 1))
    assert soft == pytest.approx(2 * np.pi * radius * EDGE * 4 / np.pi, rel=0.25)  # 4 / pi: edges run aslant


def test_outside_the_view_nothing_is_covered() -> None:
    view = view_of(box_of(60, 60, 20))
    found = coverage(np.ones((CELLS, CELLS), np.float32), view, PICTURE[::-1])
    assert found[view.region].min() == 255
    found[view.region] = 0
    assert found.max() == 0


def test_a_raster_goes_with_the_box() -> None:
    here, there = (100.0, 100.0, 40.0), (200.0, 130.0, 60.0)
    rasters = [raster(disc(view_of(box_of(*c)), *c), view_of(box_of(*c)), box_of(*c)) for c in (here, there)]
    assert iou(*rasters) > 0.97
    astray = raster(disc(view_of(box_of(*here)), 130, 100, 40), view_of(box_of(*here)), box_of(*here))
    assert iou(astray, rasters[0]) < 0.6


def test_a_raster_does_not_look_past_the_picture() -> None:
    box = np.array([260.0, 150, 320, 240])
    whole = raster(np.ones((CELLS, CELLS), np.float32), view_of(box), box)
    assert whole[:55, :55].all()
    assert not whole[:, -4:].any()
    assert not whole[-4:].any()


def test_a_map_is_moved_and_scaled_as_the_box_is() -> None:
    here, there = (100.0, 100.0, 40.0), (190.0, 130.0, 60.0)
    boxes = [box_of(*circle) for circle in (here, there)]
    views = [view_of(box) for box in boxes]
    found = moved(disc(views[0], *here), views[0], boxes[0], views[1], boxes[1])
    wanted = coverage(disc(views[1], *there), views[1], PICTURE[::-1])
    got = coverage(found, views[1], PICTURE[::-1])
    assert np.minimum(got, wanted).sum() / np.maximum(got, wanted).sum() > 0.98
