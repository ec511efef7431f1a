import numpy as np
import torch

from models.body import load_embedded_body
from models.hmr import landmarks as sites
from tests.models.hmr.test_inverse_kinematics import OUTWARDS, usual_depths


def test_landmarks_of_the_rest_pose_are_symmetric_and_in_place() -> None:
    body = load_embedded_body()
    posed = body.articulate(torch.zeros(1, 72), torch.zeros(1, 3), torch.zeros(10))
    places = dict(zip(sites.NUMBERS, sites.landmark_positions(*posed)[0].numpy(), strict=True))
    for left in (7, 11, 13, 15, 19, 23, 25, 27, 29, 31):
        assert places[left][0] > 0
        np.testing.assert_allclose(places[left] * [-1, 1, 1], places[left + 1], atol=0.01)
    assert places[0][1] > places[11][1] > places[23][1] > places[25][1] > places[27][1] > places[29][1]
    assert places[31][2] > places[29][2], "toes are in front of heels"


def test_bones_are_unit_vectors_of_both_sides() -> None:
    points = torch.randn(2, 5, len(sites.SITES), 3)
    directions = sites.bone_directions(points)
    assert directions.shape == (2, 5, len(sites.BONES), 3)
    np.testing.assert_allclose(directions.norm(dim=-1), 1, rtol=1e-5)
    assert len(set(sites.BONES)) == len(sites.BONES) == 21


def test_the_networks_usual_errors_of_depth_are_undone() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(3, len(sites.SITES), 3))
    seen = np.stack([usual_depths(places) for places in true])
    first, last = zip(*sites.BONES, strict=True)
    bones = sites.network_bones(seen)
    np.testing.assert_allclose(bones[..., :2], (true[:, last] - true[:, first])[..., :2])
    for start, end in OUTWARDS:
        bone = (start, end) if (start, end) in sites.BONES else (end, start)
        true_depth = true[:, bone[1], 2] - true[:, bone[0], 2]
        np.testing.assert_allclose(bones[:, sites.BONES.index(bone), 2], true_depth)


def test_a_first_guess_makes_limbs_deeper_and_leaves_what_is_calibrated() -> None:
    seen = np.random.default_rng(1).normal(size=(len(sites.SITES), 3))
    measured, guessed = (sites.network_bones(seen, start)[:, 2] for start in (False, True))
    calibrated = sites.STRETCHES != 1
    np.testing.assert_array_equal(measured[calibrated], guessed[calibrated])
    measured, guessed = ((depth - sites.SHIFTS)[~calibrated] for depth in (measured, guessed))
    np.testing.assert_allclose(guessed, 2 * measured)


def test_offsets_turn_with_the_body() -> None:
    body = load_embedded_body()
    pose = torch.zeros(1, 72)
    pose[0, 2] = torch.pi / 2
    still, turned = (
        sites.landmark_positions(*body.articulate(p, torch.zeros(1, 3), torch.zeros(10)))[0]
        for p in (torch.zeros(1, 72), pose)
    )
    pelvis = body.shaped_joints(torch.zeros(10))[0]
    x, y, z = (still - pelvis).T
    torch.testing.assert_close(turned - pelvis, torch.stack([-y, x, z], -1), atol=1e-5, rtol=0)
