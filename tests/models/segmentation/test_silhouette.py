"""Silhouettes follow the picture's edges and keep to one person."""

import numpy as np
import pytest

from models.segmentation import Scene, learn_scene, refine_silhouette
from tests.models.segmentation.scenes import clip, iou


@pytest.mark.parametrize(("camera", "shift", "least"), [("still", 0, 0.95), ("moving", 6, 0.88)])
def test_refined_silhouettes_beat_the_networks(camera: str, shift: int, least: float) -> None:
    images, probabilities, truths = clip(shift=shift)
    scene = learn_scene(images, probabilities)
    for index in (0, 5, 11):
        coarse = (probabilities[index] > 0.5).astype(np.float32)
        refined = refine_silhouette(images[index], probabilities[index], scene)
        assert iou(refined, truths[index]) > max(least, iou(coarse, truths[index]) + 0.1)


def test_edges_alone_already_help() -> None:
    images, probabilities, truths = clip(count=1)
    coarse = (probabilities[0] > 0.5).astype(np.float32)
    assert iou(refine_silhouette(images[0], probabilities[0]), truths[0]) > iou(coarse, truths[0])


def test_thin_arms_and_feet_stay() -> None:
    images, probabilities, truths = clip()
    refined = refine_silhouette(images[4], probabilities[4], learn_scene(images, probabilities))
    x = 50 + 12 * 4
    assert refined[53:57, x + 16 : x + 39].min() > 0.5
    assert refined[130:139, x + 6 : x + 13].min() > 0.5
    assert truths[4].sum() == pytest.approx(refined.sum(), rel=0.05)


def test_coverage_is_within_bounds_and_of_the_pictures_size() -> None:
    images, probabilities, _ = clip(count=1)
    refined = refine_silhouette(images[0], probabilities[0])
    assert refined.shape == probabilities[0].shape
    assert refined.dtype == np.float32
    assert 0 <= refined.min() <= refined.max() <= 1


def test_somebody_else_outside_the_box_is_left_out() -> None:
    images, probabilities, truths = clip()
    both = np.maximum(probabilities[1], probabilities[9])
    image = images[1].copy()
    image[truths[9]] = [30, 40, 160]
    box = np.array([45.0, 25.0, 105.0, 141.0])
    alone = refine_silhouette(image, both, None, box)
    assert iou(alone, truths[1]) > 0.75
    assert alone[:, 140:].max() == 0


def test_specks_are_dropped() -> None:
    images, probabilities, _ = clip(count=1)
    probability = probabilities[0].copy()
    probability[60:64, 110:114] = 1
    refined = refine_silhouette(images[0], probability)
    assert refined[58:66, 108:116].max() == 0


def test_nobody_gives_nothing() -> None:
    images, probabilities, _ = clip(count=2)
    empty = np.zeros_like(probabilities[0])
    scene = learn_scene(images, probabilities)
    assert refine_silhouette(images[0], empty, scene).max() == 0


def test_box_elsewhere_gives_nothing() -> None:
    images, probabilities, _ = clip(count=1)
    box = np.array([200.0, 20.0, 230.0, 60.0])
    assert refine_silhouette(images[0], probabilities[0], None, box).max() == 0


def test_person_cut_by_the_pictures_border() -> None:
    images, probabilities, truths = clip(count=2)
    x = slice(50, None)  # through the middle of the person
    refined = refine_silhouette(images[0][:, x].copy(), probabilities[0][:, x].copy())
    assert iou(refined, truths[0][:, x]) > 0.75


def test_same_result_again_and_inputs_left_alone() -> None:
    images, probabilities, _ = clip()
    scene: Scene = learn_scene(images, probabilities)
    image, probability = images[2].copy(), probabilities[2].copy()
    first = refine_silhouette(images[2], probabilities[2], scene)
    again = refine_silhouette(images[2], probabilities[2], scene)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(images[2], image)
    np.testing.assert_array_equal(probabilities[2], probability)


def test_clothes_in_the_backgrounds_colours_stay() -> None:
    images, probabilities, truths = clip()
    scene = learn_scene(images, probabilities)
    assert scene.background is not None
    image = images[5].copy()
    x = 50 + 12 * 5
    image[60:80, x - 14 : x + 14] = scene.background.colour[60:80, x - 14 : x + 14]
    probability = np.where(truths[5], 1, probabilities[5])
    refined = refine_silhouette(image, probability, scene)
    assert refined[62:78, x - 11 : x + 11].min() > 0.5
