"""Rotations of 3-space in the four forms this project uses, batched, differentiable and finite everywhere.

Axis-angle vectors (..., 3) in radians, matrices (..., 3, 3) acting on column vectors, unit quaternions
(..., 4) with the real part first, and the six numbers of Zhou et al. (2019), which have no jumps and suit
networks and optimisers. Matrices handed in are taken to be rotations: `skinning.nearest_rotation` helps.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from models.placement import placed

_W, _X, _Y, _Z = range(4)
_ENTRIES = (
    ((_Y, _Y, -2), (_Z, _Z, -2)), ((_X, _Y, 2), (_W, _Z, -2)), ((_X, _Z, 2), (_W, _Y, 2)),
    ((_X, _Y, 2), (_W, _Z, 2)), ((_X, _X, -2), (_Z, _Z, -2)), ((_Y, _Z, 2), (_W, _X, -2)),
    ((_X, _Z, 2), (_W, _Y, -2)), ((_Y, _Z, 2), (_W, _X, 2)), ((_X, _X, -2), (_Y, _Y, -2)),
)  # fmt: skip
"""Of the matrix of a unit quaternion less the identity, row by row: each two products with their factors."""
_BY_PRODUCTS = torch.zeros(16, 9)
for _column, _terms in enumerate(_ENTRIES):
    for _first, _second, _factor in _terms:
        _BY_PRODUCTS[4 * _first + _second, _column] = _factor

_SMALL_ANGLE_SQUARED = 1e-6
"""Below it, the series are exact to double precision and the closed forms begin to cancel."""


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula, (..., 3) radians -> (..., 3, 3).

    R = cos(a) I + sin(a)/a [v]x + (1 - cos(a))/a^2 v v^T with a = |v|.
    """
    squared = (axis_angle * axis_angle).sum(-1)[..., None, None]
    cosine, sine_ratio, versine_ratio = _rodrigues_coefficients(squared)
    outer = axis_angle[..., :, None] * axis_angle[..., None, :]
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return cosine * identity + sine_ratio * cross_matrix(axis_angle) + versine_ratio * outer


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3), angles in [0, pi]."""
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 4) wxyz with w >= 0 (Shepperd 1978).

    Each row of 4 q q^T is a multiple of q; that with the largest diagonal entry is far from zero always.
    """
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = matrix.flatten(-2).unbind(-1)
    rows = torch.stack(
        [
            torch.stack([1 + m00 + m11 + m22, m21 - m12, m02 - m20, m10 - m01], -1),
            torch.stack([m21 - m12, 1 + m00 - m11 - m22, m10 + m01, m02 + m20], -1),
            torch.stack([m02 - m20, m10 + m01, 1 - m00 + m11 - m22, m12 + m21], -1),
            torch.stack([m10 - m01, m02 + m20, m12 + m21, 1 - m00 - m11 + m22], -1),
        ],
        -2,
    )
    largest = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = torch.take_along_dim(rows, largest[..., None, None], -2).squeeze(-2)
    return _with_positive_real_part(normalize(row, dim=-1))


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """(..., 4) wxyz of any length but zero -> (..., 3, 3).

    R - I is linear in the products of the components, which takes few operations for any number of them.
    """
    unit = normalize(quaternion, dim=-1)
    products = (unit[..., :, None] * unit[..., None, :]).flatten(-2)
    identity = torch.eye(3, dtype=unit.dtype, device=unit.device)
    return identity + (products @ placed(_BY_PRODUCTS, unit.device, unit.dtype)).unflatten(-1, (3, 3))


def quaternion_to_axis_angle(quaternion: Tensor) -> Tensor:
    """(..., 4) wxyz unit quaternions -> (..., 3), angles in [0, pi]."""
    quaternion = _with_positive_real_part(quaternion)
    real, imaginary = quaternion[..., :1], quaternion[..., 1:]
    squared = (imaginary * imaginary).sum(-1, keepdim=True)
    small = squared < _SMALL_ANGLE_SQUARED
    # Both branches are differentiated, so the one not taken must be finite too.
    length = torch.where(small, torch.ones_like(squared), squared).sqrt()
    tangent_squared = squared / (real * real).clamp_min(0.5)
    series = 2 * (1 - tangent_squared / 3 + tangent_squared * tangent_squared / 5) / real.clamp_min(0.5)
    ratio = torch.where(small, series, 2 * torch.atan2(length, real) / length)
    return ratio * imaginary


def matrix_to_sixd(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 6): the first column, then the second."""
    return matrix[..., :2].transpose(-1, -2).flatten(-2)


def sixd_to_matrix(sixd: Tensor) -> Tensor:
    """(..., 6) -> (..., 3, 3): Gram-Schmidt on two columns (Zhou et al. 2019, "On the Continuity of Rotation
    Representations in Neural Networks"). The columns must not be parallel."""
    first = normalize(sixd[..., :3], dim=-1)
    second = sixd[..., 3:]
    second = normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


def cross_matrix(vector: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3), the matrix [v]x with [v]x u = v x u."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def _rodrigues_coefficients(squared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """cos(a), sin(a)/a and (1 - cos(a))/a^2 from a^2."""
    small = squared < _SMALL_ANGLE_SQUARED
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    sine, half_sine = angle.sin(), (angle / 2).sin()
    cosine = torch.where(small, 1 - squared / 2 + squared * squared / 24, 1 - 2 * half_sine * half_sine)
    sine_ratio = torch.where(small, 1 - squared / 6 + squared * squared / 120, sine / angle)
    versine_ratio = torch.where(
        small, 0.5 - squared / 24 + squared * squared / 720, 2 * (half_sine / angle) ** 2
    )
    return cosine, sine_ratio, versine_ratio


def _with_positive_real_part(quaternion: Tensor) -> Tensor:
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
