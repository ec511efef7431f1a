"""The camera: points through the network's weak perspective and through the clip's camera."""

import numpy as np
import pytest
import torch

from models.body.rotations import sixd_to_matrix
from models.hmr.hmr2.camera import origins, views
from models.hmr.hmr2.estimation import placed

K = np.array([[800.0, 0, 330], [0, 800, 250], [0, 0, 1]])


def project(points: np.ndarray) -> np.ndarray:
    image = points @ K.T
    return image[..., :2] / image[..., 2:]


def test_a_point_lies_where_the_crop_has_it() -> None:
    """The origin's plane, for which the weak perspective is exact."""
    camera, centre, side = np.array([[0.85, 0.1, -0.2]]), np.array([[500.0, 180]]), np.array([300.0])
    body = np.array([[0.3, -0.7, 0.0], [-0.2, 0.5, 0]])
    in_crop = 128 + 128 * camera[0, 0] * (body[:, :2] + camera[0, 1:])  # pixels of the crop
    in_picture = centre + (in_crop - 128) * side / 256
    np.testing.assert_allclose(project(body + origins(camera, centre, side, K)), in_picture, atol=1e-9)


def test_the_usual_formula_for_a_camera_with_its_principal_point_in_the_middle() -> None:
    W, H, f, b, s, tx, ty, cx, cy = 640, 480, 700.0, 250.0, 0.9, 0.05, 0.3, 200.0, 300.0
    middle = np.array([[f, 0, W / 2], [0, f, H / 2], [0, 0, 1]])
    (place,) = origins(np.array([[s, tx, ty]]), np.array([[cx, cy]]), np.array([b]), middle)
    bs = b * s
    np.testing.assert_allclose(place, [tx + 2 * (cx - W / 2) / bs, ty + 2 * (cy - H / 2) / bs, 2 * f / bs])


@pytest.mark.parametrize("centre", [(330.0, 250.0), (40.0, 90.0), (620.0, 470.0)])
def test_the_view_looks_at_the_crop_s_middle(centre: tuple[float, float]) -> None:
    (turn,) = views(np.array([centre]), K)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(project(5 * turn @ [0, 0, 1]), centre, atol=1e-9)


def seen(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """A box around points, and its square's centre and side."""
    low, high = project(points).min(0), project(points).max(0)
    return np.concatenate([low, high]), (low + high) / 2, max((high - low)[1], (high - low)[0] / 0.75)


def test_somebody_at_the_picture_s_edge_is_put_back_where_they_stand() -> None:
    """What a perfect network would say of them, who knows the crop alone."""
    generator = np.random.default_rng(0)
    body = generator.uniform((-0.4, -0.9, -0.2), (0.4, 0.9, 0.2), (200, 3))
    turn = sixd_to_matrix(torch.tensor([0.8, 0.1, -0.5, 0.1, -0.9, 0.1], dtype=torch.float64)).numpy()
    place = np.array([2.1, 0.2, 4.5])  # 25 degrees from the optical axis
    truth = body @ turn.T + place
    box, centre, side = seen(truth)
    apparent = views(centre[None], K)[0].T @ turn  # the crop's own camera looks at its middle
    flat = (body @ apparent.T)[:, :2]
    # The scale and the shift that show the body as it is seen.
    size = np.ptp(project(truth), axis=0)[1] / np.ptp(flat, axis=0)[1]
    shift = ((project(truth) - centre) / size - flat).mean(0)
    camera = np.array([2 * size / side, *shift])
    pose = torch.tensor([1.0, 0, 0, 0, 1, 0], dtype=torch.float64).repeat(24, 1)
    pose[0] = torch.from_numpy(apparent[:, :2].T.reshape(6))
    said = np.concatenate([pose.flatten().numpy(), np.zeros(10), camera])
    estimates = placed(said[None], np.array([True]), box[None], K)
    np.testing.assert_allclose(estimates.rotations[0, 0], turn, atol=1e-9)
    back = body @ estimates.rotations[0, 0].T + estimates.origins[0]
    assert np.abs(project(back) - project(truth)).max() < 0.1 * side
    assert np.linalg.norm(estimates.origins[0] - place) < 0.1 * np.linalg.norm(place)


def test_six_numbers_are_two_columns() -> None:
    """The first three numbers are the first column, the last three seed the second."""
    numbers = np.array([0.0, 2, 0, 1, 5, 0])  # first column y, second x
    said = np.concatenate([np.tile(numbers, 24), np.zeros(10), [0.9, 0, 0]])
    estimates = placed(said[None], np.array([True]), np.array([[280.0, 200, 380, 300]]), K)
    np.testing.assert_allclose(estimates.rotations[0, 5], [[0, 1, 0], [1, 0, 0], [0, 0, -1]], atol=1e-12)


def test_answers_that_are_none() -> None:
    said = np.zeros((4, 157))
    said[:, :144] = np.tile([1.0, 0, 0, 0, 1, 0], 24)
    said[:, 154] = (0.9, -0.1, 0.9, 0.9)
    said[2, 3] = np.nan
    wanted = np.array([True, True, False, True, True])
    estimates = placed(said, wanted, np.tile([280.0, 200, 380, 300], (5, 1)), K)
    assert estimates.known.tolist() == [True, False, False, False, True]
    assert np.isfinite(estimates.rotations).all() and np.isfinite(estimates.origins).all()
