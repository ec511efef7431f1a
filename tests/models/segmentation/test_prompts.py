"""What Segment Anything is told, for a stick figure and its neighbours."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.segmentation.prompts import INSIDE, Prompt, make_prompt

BOX = np.array([80.0, 20, 160, 220])
FIGURE = {
    0: (120, 40), 11: (135, 65), 12: (105, 65), 13: (145, 95), 14: (95, 95), 15: (148, 120), 16: (92, 120),
    23: (130, 125), 24: (110, 125), 25: (132, 165), 26: (108, 165), 27: (133, 205), 28: (107, 205),
}  # fmt: skip
PASSES = 6
NOBODY = np.empty((0, 2, 2))


def landmarks() -> NDArray[np.float64]:
    found = np.zeros((PASSES, 33, 3))
    for index, place in FIGURE.items():
        found[:, index] = (*place, 0.95)
    return found


def prompt(points: NDArray[np.float64], others: NDArray[np.float64] = NOBODY) -> Prompt:
    return make_prompt(BOX, points, np.ones(PASSES, bool), others)


def circle(x: float, y: float, radius: float) -> NDArray[np.float64]:
    return np.array([[[x, y], [0, -radius]]])


def test_points_lie_on_the_landmarks() -> None:
    asked = prompt(landmarks())
    assert asked.on_subject.all()
    np.testing.assert_allclose(asked.points, [FIGURE[index] for index in INSIDE])
    np.testing.assert_array_equal(asked.box, BOX)


@pytest.mark.parametrize("flaw", ["hidden", "disputed", "outside"])
def test_a_doubtful_landmark_is_left_out(flaw: str) -> None:
    points = landmarks()
    if flaw == "hidden":
        points[:, 15, 2] = 0.3
    elif flaw == "disputed":
        points[::2, 15, 0] += 20
    else:
        points[:, 15, 0] = 300
    asked = prompt(points)
    assert len(asked.points) == len(INSIDE) - 1
    assert not (asked.points == FIGURE[15]).all(-1).any()


def test_passes_that_saw_nobody_do_not_count() -> None:
    points, seen = landmarks(), np.ones(PASSES, bool)
    points[2], seen[2] = 0, False
    np.testing.assert_allclose(
        make_prompt(BOX, points, seen, NOBODY).points, [FIGURE[index] for index in INSIDE]
    )
    nothing = make_prompt(BOX, points, np.zeros(PASSES, bool), circle(200, 120, 90))
    assert len(nothing.points) == 0


def test_another_person_beside_the_subject_gets_points() -> None:
    asked = prompt(landmarks(), circle(210, 120, 90))
    np.testing.assert_allclose(asked.points[~asked.on_subject], [[210, 120], [210, 84]])


def test_a_person_far_away_gets_none() -> None:
    assert prompt(landmarks(), circle(400, 120, 90)).on_subject.all()


def test_no_point_on_another_lies_on_the_subject() -> None:
    behind = prompt(landmarks(), circle(120, 128, 90))  # just behind; their chest at (120, 92) is hidden, too
    assert behind.on_subject.all()
    beside = prompt(landmarks(), np.concatenate([circle(120, 128, 90), circle(60, 120, 90)]))
    np.testing.assert_allclose(beside.points[~beside.on_subject], [[60, 120], [60, 84]])
