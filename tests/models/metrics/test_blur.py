import cv2
import numpy as np
import pytest

from models.metrics import blur_effect


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Rectangles of many sizes and greys: edges as sharp as can be."""
    random = np.random.default_rng(0)
    image = np.full((160, 160), 128, np.uint8)
    for x, y, w, h, grey in random.integers(0, [160, 160, 40, 40, 256], (150, 5)):
        image[y : y + h, x : x + w] = grey
    return image


def test_blur_rises_with_the_width_of_the_blur(picture: np.ndarray) -> None:
    widths = [blur_effect(cv2.GaussianBlur(picture, (0, 0), sigma)) for sigma in (0.5, 1, 2, 4)]
    assert blur_effect(picture) < 0.3
    assert widths == sorted(widths)
    assert widths[2] > 0.55


@pytest.mark.parametrize("size", [(1, 15), (15, 1)])
def test_motion_blur_counts_whatever_its_direction(picture: np.ndarray, size: tuple[int, int]) -> None:
    assert blur_effect(cv2.blur(picture, size)) > 0.55


def test_brightness_and_contrast_do_not_matter(picture: np.ndarray) -> None:
    assert blur_effect(picture // 4 + 100) == pytest.approx(blur_effect(picture), abs=0.02)


def test_pictures_that_tell_nothing() -> None:
    assert blur_effect(np.full((50, 50), 7, np.uint8)) is None
    assert blur_effect(np.zeros((5, 50), np.uint8)) is None
