import numpy as np
import torch
from scipy.spatial import cKDTree

from models.avatar.surface import HAND_JOINTS, neighbours, spread
from models.body import BodyModel


def test_points_lie_on_the_surface_and_follow_its_shape(body: BodyModel) -> None:
    points = spread(body, 800, seed=0)
    betas = torch.linspace(-1, 1, 10)
    vertices = body.shape(betas)[0]
    distance = cKDTree(vertices.numpy()).query(points.shaped(betas).numpy())[0]
    assert distance.max() < 0.03  # within a triangle of some vertex
    torch.testing.assert_close(points.weights.sum(1), torch.ones(800))
    torch.testing.assert_close(points.normals.norm(dim=1), torch.ones(800), atol=1e-4, rtol=0)


def test_normals_point_outwards(body: BodyModel) -> None:
    points = spread(body, 800, seed=0)
    chest = points.weights[:, 9] > 0.9
    outwards = points.template[chest] - body.joint_template[9]
    assert ((outwards * points.normals[chest]).sum(1) > 0).float().mean() > 0.9


def test_spread_is_even_and_denser_on_hands(body: BodyModel) -> None:
    points = spread(body, 4000, seed=0)
    nearest = cKDTree(points.template.numpy()).query(points.template.numpy(), 2)[0][:, 1]
    independent = 0.5  # spacings: the expected distance to the nearest of independently drawn points
    assert np.mean(nearest / points.spacing.numpy()) > independent
    hands = points.weights[:, list(HAND_JOINTS)].sum(1) > 0.9
    assert points.spacing[hands].mean() < 0.8 * points.spacing[~hands].mean()


def test_same_seed_same_points(body: BodyModel) -> None:
    assert torch.equal(spread(body, 500, seed=1).template, spread(body, 500, seed=1).template)
    assert not torch.equal(spread(body, 500, seed=1).template, spread(body, 500, seed=2).template)


def test_neighbours_are_near_and_on_the_same_side(body: BodyModel) -> None:
    points = spread(body, 4000, seed=0)
    index = neighbours(points, 6)
    assert not (index == np.arange(4000)[:, None]).any()
    agreement = (points.normals[index] * points.normals[:, None]).sum(-1)
    assert (agreement > 0).float().mean() > 0.97
