import numpy as np
import pytest

from models.avatar.screening import in_words, overlaps, screened

COUNT = 12


def _walk() -> np.ndarray:
    """Boxes (12,4) of somebody who walks to the right."""
    left = 5.0 * np.arange(COUNT)
    return np.stack((left, np.full(COUNT, 10.0), left + 40, np.full(COUNT, 110.0)), axis=1)


def test_agreeing_boxes_are_all_believed() -> None:
    body = _walk() + np.random.default_rng(0).normal(0, 4, (COUNT, 4))
    assert screened(body, _walk()) == ([], [])


def test_the_one_that_leaves_its_track_is_wrong() -> None:
    body, mask = _walk(), _walk()
    body[3, [0, 2]] += 60
    mask[6:10, [0, 2]] -= 70
    mask[1] = np.nan
    assert screened(body, mask) == ([6, 7, 8, 9], [3])


@pytest.mark.parametrize("value", [np.nan, 500.0])
def test_without_agreement_nobody_is_accused(value: float) -> None:
    assert screened(_walk(), np.full((COUNT, 4), value)) == ([], [])


def test_overlap_is_intersection_over_union() -> None:
    first, second = np.array([[0.0, 0, 10, 10]] * 2), np.array([[5.0, 0, 15, 10], [20, 20, 30, 30]])
    np.testing.assert_allclose(overlaps(first, second), [1 / 3, 0])


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([3], "frame 3"),
        ([3, 4], "frames 3 and 4"),
        ([0, 1, 2, 7], "frames 0 to 2 and 7"),
        ([1, 5, 6, 7, 9], "frames 1, 5 to 7 and 9"),
    ],
)
def test_frames_are_named_as_a_person_would(frames: list[int], words: str) -> None:
    assert in_words(frames) == words
