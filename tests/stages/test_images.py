"""Pictures and masks on disk."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stages.images import coverage, read_coverage, read_image, write_image

TRUTH = np.zeros((20, 30), dtype=bool)
TRUTH[5:15, 8:20] = True


def test_colours_come_back(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    write_image(tmp_path / "ä b.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "ä b.png"), image)


@pytest.mark.parametrize(
    "pixels",
    [
        np.where(TRUTH, 255, 0).astype(np.uint8),
        TRUTH.astype(np.uint8),
        np.where(TRUTH, 65535, 0).astype(np.uint16),
        TRUTH[..., None] * np.array([0, 0, 128], dtype=np.uint8),  # a label's colour in a palette
        np.dstack([np.full((20, 30, 3), 90), np.where(TRUTH, 255, 0)]).astype(np.uint8),  # cut out
        np.dstack([*3 * [np.where(TRUTH, 255, 0)], np.full((20, 30), 255)]).astype(np.uint8),  # opaque
    ],
)
def test_masks_are_understood_however_stored(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    np.testing.assert_array_equal(read_coverage(path), np.where(TRUTH, 255, 0))


def test_soft_masks_stay_soft(tmp_path: Path) -> None:
    soft = np.linspace(0, 255, 600).reshape(20, 30).astype(np.uint8)
    write_image(tmp_path / "mask.png", soft)
    np.testing.assert_array_equal(read_coverage(tmp_path / "mask.png"), soft)


def test_a_videos_picture_has_the_values_that_it_has() -> None:
    noise = TRUTH.astype(np.uint8)  # of lossy compression, in a picture that is black
    np.testing.assert_array_equal(coverage(np.dstack([noise] * 3)), noise)
    opaque = np.dstack([*3 * [noise], np.full((20, 30), 255, np.uint8)])
    np.testing.assert_array_equal(coverage(opaque), noise)
    clear = np.dstack([*3 * [np.full((20, 30), 90, np.uint8)], noise])
    np.testing.assert_array_equal(coverage(clear), noise)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mask.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mask\.png"):
        read_coverage(path)
    with pytest.raises(ValueError, match=r"mask\.png"):
        read_image(path)
