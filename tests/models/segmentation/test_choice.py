"""The choice among masks and the repair of single frames, on constructed logits of a walking figure."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.segmentation.choice import Candidates, Query, between, iou, odd_frames, settle, wrong_points
from models.segmentation.prompts import Prompt
from models.segmentation.views import View, coverage, raster

PICTURE = (320, 240)
SIDE, CELLS = 256, 64
COUNT = 9


def box(index: int) -> NDArray[np.float64]:
    """The figure walks to the right and comes nearer."""
    x, half = 100 + 14 * index, 20 + index
    return np.array([x - half, 110 - 2.5 * half, x + half, 110 + 2 * half], np.float64)


def query(index: int, points: NDArray[np.float64] | None = None) -> Query:
    place = np.empty((0, 2)) if points is None else points
    prompt = Prompt(box(index), place, np.ones(len(place), bool))
    return Query(prompt, View.around(box(index), PICTURE, SIDE, CELLS))


def part(index: int, left: float, top: float, right: float, bottom: float) -> NDArray[np.float32]:
    """Logits of a rectangle, given in shares of the box."""
    x0, y0, x1, y1 = box(index)
    factor, offset = query(index).view.to_cells()
    corners = np.array(
        [[x0 + left * (x1 - x0), y0 + top * (y1 - y0)], [x0 + right * (x1 - x0), y0 + bottom * (y1 - y0)]]
    )
    (a, b), (c, d) = corners * factor + offset
    middle = np.arange(CELLS) + 0.5
    across, down = np.minimum(middle - a, c - middle), np.minimum(middle - b, d - middle)
    return np.minimum(across[None], down[:, None]).astype(np.float32)


def whole(index: int) -> NDArray[np.float32]:
    return part(index, 0.1, 0, 0.9, 1)


def shirt(index: int) -> NDArray[np.float32]:
    return part(index, 0.1, 0.2, 0.9, 0.5)


def wall(index: int) -> NDArray[np.float32]:
    return part(index, -0.4, -0.4, 1.4, 1.4)


class Network:
    """Offers the whole figure, its shirt and the wall; remembers what it was asked to draw again."""

    def __init__(self, again: NDArray[np.float32] | None = None) -> None:
        self.scores = np.tile([0.9, 0.7, 0.6], (COUNT, 1)).astype(np.float32)
        self.logits = np.array([[whole(i), shirt(i), wall(i)] for i in range(COUNT)])
        self.hints: dict[int, NDArray[np.float32]] = {}
        self.again = again

    def candidates(self, index: int) -> Candidates:
        return Candidates(self.logits[index], self.scores[index])

    def redraw(self, index: int, hint: NDArray[np.float32]) -> Candidates:
        self.hints[index] = hint
        drawn = whole(index) if self.again is None else self.again
        return Candidates(drawn[None], np.ones(1, np.float32))


def queries(missing: tuple[int, ...] = ()) -> dict[int, Query]:
    return {index: query(index) for index in range(COUNT) if index not in missing}


def test_the_best_score_is_taken() -> None:
    network = Network()
    settled = settle(queries(), network.candidates, network.redraw)
    assert settled.taken == dict.fromkeys(range(COUNT), 0)
    assert settled.replaced == {}


def test_agreement_with_the_frames_around_outweighs_a_score() -> None:
    network = Network()
    network.scores[4] = [0.8, 0.95, 0.7]
    assert settle(queries(), network.candidates, network.redraw).taken[4] == 0
    alone = {4: query(4)}
    assert settle(alone, network.candidates, network.redraw).taken == {4: 1}


def test_the_order_in_which_masks_are_offered_does_not_matter() -> None:
    network = Network()
    network.logits[3] = network.logits[3][[2, 0, 1]]
    network.scores[3] = 0.8
    taken = settle(queries(), network.candidates, network.redraw).taken
    assert [taken[i] for i in range(COUNT)] == [0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_points_on_the_subject_outweigh_a_score() -> None:
    network = Network()
    network.scores[:] = [0.7, 0.9, 0.6]
    x0, y0, x1, y1 = box(4)
    x = (x0 + x1) / 2
    points = np.array([[x, y0 + share * (y1 - y0)] for share in (0.1, 0.3, 0.6, 0.9)])
    assert settle({4: query(4)}, network.candidates, network.redraw).taken == {4: 1}
    assert settle({4: query(4, points)}, network.candidates, network.redraw).taken == {4: 0}


def test_wrong_points_count_on_either_side() -> None:
    logits = np.full((4, 4), -1, np.float32)
    logits[1, 2] = 1
    inside, outside = [2.5, 1.5], [0.5, 0.5]
    assert wrong_points(logits, np.array([inside, outside]), np.array([True, False])) == 0
    assert wrong_points(logits, np.array([inside, outside]), np.array([False, True])) == 1
    assert wrong_points(logits, np.array([inside, outside]), np.array([True, True])) == 0.5
    assert wrong_points(logits, np.empty((0, 2)), np.empty(0, bool)) == 0


def test_over_a_gap_nothing_is_compared() -> None:
    network = Network()
    network.scores[5:] = [0.8, 0.9, 0.7]
    together = settle(queries(), network.candidates, network.redraw).taken
    apart = settle(queries(missing=(4,)), network.candidates, network.redraw).taken
    assert set(together.values()) == {0}
    assert [apart[i] for i in (3, 5)] == [0, 1]
    assert 4 not in apart


def bad(network: Network, index: int) -> None:
    """All that is offered in one frame is half the figure or the wall."""
    network.logits[index] = [part(index, 0.1, 0, 0.9, 0.4), shirt(index), wall(index)]


def test_a_single_bad_frame_is_drawn_again_with_its_neighbours_as_a_hint() -> None:
    network = Network()
    bad(network, 4)
    settled = settle(queries(), network.candidates, network.redraw)
    assert list(network.hints) == [4]
    view = query(4).view
    assert iou(raster(network.hints[4], view, box(4)), raster(whole(4), view, box(4))) > 0.95
    assert list(settled.replaced) == [4]
    np.testing.assert_array_equal(settled.replaced[4], whole(4))
    assert settled.interpolated == []


def test_a_frame_that_stays_bad_is_put_between_its_neighbours() -> None:
    network = Network(again=shirt(4))
    bad(network, 4)
    settled = settle(queries(), network.candidates, network.redraw)
    assert settled.interpolated == [4]
    shape = PICTURE[::-1]
    found, wanted = (coverage(m, query(4).view, shape) for m in (settled.replaced[4], whole(4)))
    assert np.minimum(found, wanted).sum() / np.maximum(found, wanted).sum() > 0.92  # to half a cell of 64


@pytest.mark.parametrize("index", [0, COUNT - 1])
def test_an_end_has_no_two_neighbours(index: int) -> None:
    network = Network()
    bad(network, index)
    assert settle(queries(), network.candidates, network.redraw).replaced == {}


def test_a_frame_beside_a_gap_is_left_alone() -> None:
    network = Network()
    bad(network, 5)
    assert settle(queries(missing=(4,)), network.candidates, network.redraw).replaced == {}


def test_fast_movement_is_not_odd() -> None:
    """Legs that open by a third of the box each frame."""
    masks = {}
    for index in range(6):
        mask = np.zeros((60, 60), bool)
        mask[:, 5 + 8 * index : 15 + 8 * index] = True
        masks[index] = mask
    assert iou(masks[1], masks[2]) < 0.2
    assert odd_frames(masks) == []


def test_half_way_between_a_small_and_a_large_square() -> None:
    def square(half: int) -> NDArray[np.float32]:
        logits = np.full((40, 40), -1, np.float32)
        logits[20 - half : 20 + half, 20 - half : 20 + half] = 5
        return logits

    np.testing.assert_array_equal(between(square(6), square(10)) > 0, square(8) > 0)
    np.testing.assert_array_equal(between(square(6), square(6)) > 0, square(6) > 0)


def test_half_way_between_nothing_and_something_is_nothing() -> None:
    nothing = np.full((40, 40), -1, np.float32)
    assert not (between(nothing, nothing) > 0).any()
    assert iou(np.zeros((3, 3), bool), np.zeros((3, 3), bool)) == 1
