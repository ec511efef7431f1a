"""Rotations: against scipy, against each other, and their derivatives where they are delicate."""

import math

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.autograd import gradcheck

from models.body import rotations

AXIS = torch.tensor([[0.6, 0.0, 0.8], [-2 / 3, 1 / 3, 2 / 3], [0.0, 0.0, -1.0]], dtype=torch.float64)
ANGLES = [0.0, 1e-9, 1e-4, 1e-3, 0.0011, 0.5, math.pi / 2, 3.0, math.pi - 1e-6]


def random_axis_angles(count: int = 500) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    axis = torch.nn.functional.normalize(
        torch.randn(count, 3, generator=generator, dtype=torch.float64), dim=-1
    )
    return axis * torch.rand(count, 1, generator=generator, dtype=torch.float64) * math.pi


def test_axis_angle_to_matrix_agrees_with_scipy() -> None:
    axis_angles = random_axis_angles() * 3
    expected = torch.from_numpy(Rotation.from_rotvec(axis_angles.numpy()).as_matrix())
    torch.testing.assert_close(rotations.axis_angle_to_matrix(axis_angles), expected, rtol=0, atol=1e-14)


def test_quaternions_agree_with_scipy() -> None:
    axis_angles = random_axis_angles()
    expected = torch.from_numpy(Rotation.from_rotvec(axis_angles.numpy()).as_quat(scalar_first=True))
    expected = expected * expected[:, :1].sign()
    matrix = rotations.axis_angle_to_matrix(axis_angles)
    torch.testing.assert_close(rotations.matrix_to_quaternion(matrix), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(rotations.quaternion_to_matrix(-2 * expected), matrix, rtol=0, atol=1e-13)


@pytest.mark.parametrize("angle", ANGLES)
def test_axis_angle_survives_matrix_and_quaternion(angle: float) -> None:
    axis_angle = angle * AXIS
    matrix = rotations.axis_angle_to_matrix(axis_angle)
    torch.testing.assert_close(rotations.matrix_to_axis_angle(matrix), axis_angle, rtol=1e-12, atol=1e-14)
    by_quaternion = rotations.quaternion_to_axis_angle(-rotations.matrix_to_quaternion(matrix))
    torch.testing.assert_close(by_quaternion, axis_angle, rtol=1e-12, atol=1e-14)


def test_half_turns_keep_their_matrix() -> None:
    matrix = rotations.axis_angle_to_matrix(math.pi * AXIS)
    again = rotations.axis_angle_to_matrix(rotations.matrix_to_axis_angle(matrix))
    torch.testing.assert_close(again, matrix, rtol=0, atol=1e-13)


def test_sixd_is_the_two_first_columns_of_any_scale() -> None:
    matrix = rotations.axis_angle_to_matrix(random_axis_angles())
    sixd = rotations.matrix_to_sixd(matrix)
    torch.testing.assert_close(sixd[:, 3:], matrix[:, :, 1])
    skewed = torch.cat([2 * sixd[:, :3], sixd[:, 3:] + 0.3 * sixd[:, :3]], -1)
    torch.testing.assert_close(rotations.sixd_to_matrix(skewed), matrix, rtol=0, atol=1e-13)


def test_cross_matrix() -> None:
    a, b = random_axis_angles().chunk(2)
    product = (rotations.cross_matrix(a) @ b[..., None]).squeeze(-1)
    torch.testing.assert_close(product, torch.linalg.cross(a, b))


@pytest.mark.parametrize("angle", ANGLES)
def test_derivative_from_axis_angle(angle: float) -> None:
    assert gradcheck(rotations.axis_angle_to_matrix, (angle * AXIS).requires_grad_())


@pytest.mark.parametrize("angle", ANGLES[:-1])
def test_derivative_to_axis_angle(angle: float) -> None:
    def there_and_back(axis_angle: Tensor) -> Tensor:
        matrix = rotations.axis_angle_to_matrix(axis_angle)
        return rotations.quaternion_to_axis_angle(rotations.matrix_to_quaternion(matrix))

    axis_angle = (angle * AXIS).requires_grad_()
    assert gradcheck(there_and_back, axis_angle)
    jacobian = torch.autograd.functional.jacobian(there_and_back, axis_angle[0].detach())
    torch.testing.assert_close(jacobian, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi - 1e-3])
def test_derivative_through_sixd(angle: float) -> None:
    def through(axis_angle: Tensor) -> Tensor:
        return rotations.sixd_to_matrix(rotations.matrix_to_sixd(rotations.axis_angle_to_matrix(axis_angle)))

    assert gradcheck(through, (angle * AXIS).requires_grad_())


@pytest.mark.parametrize("angle", [0.0, 1e-20, math.pi])
def test_single_precision_derivatives_are_finite(angle: float) -> None:
    axis_angle = (angle * AXIS).float().requires_grad_()
    rotations.matrix_to_axis_angle(rotations.axis_angle_to_matrix(axis_angle)).sum().backward()
    assert axis_angle.grad is not None and axis_angle.grad.isfinite().all()
