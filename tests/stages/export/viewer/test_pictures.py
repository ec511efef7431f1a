import cv2
import numpy as np

from stages.export.clip import Clip
from stages.export.viewer.pictures import QUALITIES, background, encoded, fitting_quality
from tests.stages.export.conftest import FRAMES, HEIGHT, WIDTH


def test_every_frame_is_a_picture_of_the_wanted_height(clip: Clip) -> None:
    pictures = background(clip, HEIGHT // 2)
    assert len(pictures) == FRAMES
    shown = cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert shown.shape == (HEIGHT // 2, WIDTH // 2, 3)
    expected = cv2.resize(clip.frames.image(0), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    assert np.abs(shown.astype(int) - expected).mean() < 6  # JPEG halves the colours' resolution


def test_pictures_are_never_enlarged(clip: Clip) -> None:
    shown = cv2.imdecode(np.frombuffer(background(clip, 2160)[0], np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (HEIGHT, WIDTH, 3)


def test_no_height_leaves_the_pictures_out(clip: Clip) -> None:
    assert background(clip, 0) == []


def test_quality_gives_way_to_size() -> None:
    images = [np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)]
    sizes = [len(encoded(images[0], quality)) for quality in QUALITIES]
    assert sizes == sorted(sizes, reverse=True)
    assert fitting_quality(images, sizes[0]) == QUALITIES[0]
    assert fitting_quality(images, sizes[2]) == QUALITIES[2]
    assert fitting_quality(images, 10) == QUALITIES[-1]
