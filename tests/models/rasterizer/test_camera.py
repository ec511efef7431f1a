import math

import torch

from models.rasterizer import covariance_from, render, transform
from tests.models.rasterizer.scenes import HEIGHT, WIDTH, intrinsics, random_scene


def turn_about_z(angle: float) -> torch.Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)


def test_covariance_from_rotations_and_quaternions() -> None:
    scales = torch.tensor([[1.0, 2, 3]], dtype=torch.float64)
    quarter = turn_about_z(math.pi / 2)[None]
    expected = torch.diag(torch.tensor([4.0, 1, 9], dtype=torch.float64))[None]
    torch.testing.assert_close(covariance_from(quarter, scales), expected)
    quaternions = 5 * torch.tensor([[math.cos(math.pi / 4), 0, 0, math.sin(math.pi / 4)]]).double()
    torch.testing.assert_close(covariance_from(quaternions, scales), expected)


def test_turning_the_camera_about_its_axis_turns_the_picture() -> None:
    means, covariances, colors, opacities = random_scene(30)
    K = torch.tensor([[50.0, 0, 20], [0, 50, 20], [0, 0, 1]])
    T_cam_world = torch.eye(4, dtype=torch.float64)
    T_cam_world[:3, :3] = turn_about_z(math.pi / 2)
    upright = render(means, covariances, colors, opacities, K, 40, 40, "torch")
    turned = render(*transform(means, covariances, T_cam_world), colors, opacities, K, 40, 40, "torch")
    torch.testing.assert_close(turned.color, upright.color.rot90(-1))


def test_moving_the_camera_moves_the_gaussians_the_other_way() -> None:
    means, covariances, colors, opacities = random_scene(30)
    T_cam_world = torch.eye(4, dtype=torch.float64)
    T_cam_world[:3, 3] = torch.tensor([0.1, -0.2, 0.5])
    moved = transform(means[None], covariances[None], T_cam_world[None])
    torch.testing.assert_close(moved[0][0], means + T_cam_world[:3, 3])
    torch.testing.assert_close(moved[1][0], covariances)
    nearer = render(moved[0][0], moved[1][0], colors, opacities, intrinsics(), WIDTH, HEIGHT, "torch")
    assert nearer.depth.max() > means[:, 2].max()
