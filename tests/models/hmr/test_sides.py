"""Left and right in landmarks made from a known motion."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.body import BodyModel, load_embedded_body
from models.hmr.sides import ORDERS, with_steady_sides
from models.people import Landmarks
from tests.models.hmr.test_inverse_kinematics import observed

LENGTH = 24
RUN = slice(8, 16)


@pytest.fixture(scope="module")
def seen() -> Landmarks:
    """Two passes of somebody who walks, with some jitter."""
    body: BodyModel = load_embedded_body()
    landmarks, _ = observed(body, torch.zeros(10), LENGTH)
    random = np.random.default_rng(0)
    jitter = [0.004 * size * random.normal(size=landmarks.image.shape[:3]) for size in (300, 300)]
    landmarks.image[..., 0] += jitter[0]
    landmarks.image[..., 1] += jitter[1]
    return landmarks


def exchanged(landmarks: Landmarks, order: np.ndarray, passes: slice = slice(None)) -> Landmarks:
    image, world = landmarks.image.copy(), landmarks.world.copy()
    for array in (image, world):
        array[passes, RUN] = array[passes, RUN][:, :, order]
    return replace(landmarks, image=image, world=world)


def test_what_is_right_stays(seen: Landmarks) -> None:
    found = with_steady_sides(seen)
    np.testing.assert_array_equal(found.image, seen.image)
    np.testing.assert_array_equal(found.world, seen.world)


@pytest.mark.parametrize("order", ORDERS[1:], ids=["legs", "arms", "limbs", "everything"])
def test_exchanged_runs_are_put_back(seen: Landmarks, order: np.ndarray) -> None:
    for passes in (slice(None), slice(1)):
        found = with_steady_sides(exchanged(seen, order, passes))
        limbs = np.arange(11, 33)
        np.testing.assert_array_equal(found.image[:, :, limbs], seen.image[:, :, limbs])
        np.testing.assert_array_equal(found.world[:, :, limbs], seen.world[:, :, limbs])


def test_one_pass_against_the_others_gives_way(seen: Landmarks) -> None:
    three = Landmarks(*(np.concatenate([a, a[:1]]) for a in (seen.image, seen.world, seen.valid)))
    wrong = Landmarks(three.image.copy(), three.world.copy(), three.valid)
    wrong.image[2], wrong.world[2] = three.image[2][:, ORDERS[1]], three.world[2][:, ORDERS[1]]
    np.testing.assert_array_equal(with_steady_sides(wrong).image, three.image)


def test_frames_that_no_pass_saw(seen: Landmarks) -> None:
    valid = seen.valid.copy()
    valid[:, 3:6] = valid[0, 20:] = False
    image = np.where(valid[..., None, None], seen.image, np.nan)
    found = with_steady_sides(Landmarks(image, seen.world, valid))
    np.testing.assert_array_equal(found.image, image)
