"""Learning the background and the colours of a clip."""

import numpy as np

from models.segmentation import learn_scene
from tests.models.segmentation.scenes import clip

WHOLE = (slice(None), slice(None))


def test_background_of_a_still_camera_is_the_scene_without_the_person() -> None:
    images, probabilities, _ = clip()
    background = learn_scene(images, probabilities).background
    assert background is not None
    empty = images[0]  # the person is on the left; the right is free
    np.testing.assert_allclose(background.colour[:, 130:], empty[:, 130:], atol=15)
    np.testing.assert_allclose(background.colour[:, :90], images[-1][:, :90], atol=15)
    assert background.known.mean() > 0.95


def test_a_moving_camera_has_no_background() -> None:
    images, probabilities, _ = clip(shift=6)
    assert learn_scene(images, probabilities).background is None


def test_evidence_tells_person_from_scene_and_is_neutral_in_shadow() -> None:
    images, probabilities, truths = clip(shadow=True)
    background = learn_scene(images, probabilities).background
    assert background is not None
    evidence = background.evidence(images[5], WHOLE)
    assert np.median(evidence[truths[5]]) == 2.0
    assert np.median(evidence[~truths[5]]) < -2.0
    shadow = evidence[143:149, 90:140]
    assert shadow.max() < 0.5


def test_colours_of_the_person_speak_for_the_person() -> None:
    images, probabilities, truths = clip(shift=6)
    evidence = learn_scene(images, probabilities).colour_evidence(images[3], WHOLE)
    assert np.median(evidence[truths[3]]) > 2
    assert np.median(evidence[~truths[3]]) < -2


def test_nobody_anywhere_is_no_failure() -> None:
    images, probabilities, _ = clip(count=4)
    scene = learn_scene(images, [np.zeros_like(p) for p in probabilities])
    assert np.isfinite(scene.colours).all()
