"""Carrying Gaussians from the rest pose to a posed body: linear blend skinning of centres and of orientations."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PosedGaussians:
    """Gaussians in camera space (x right, y down, z forward, metres), as the renderer takes them.

    Attributes:
        means: (N,3) centres.
        covariances: (N,3,3).
        colors: (N,3) in [0, 1].
        opacities: (N,) in (0, 1).
        rotations: (N,3,3) proper rotations from each Gaussian's own axes to camera space.
        scales: (N,3) standard deviations along those axes, metres.
    """

    means: Tensor
    covariances: Tensor
    colors: Tensor
    opacities: Tensor
    rotations: Tensor
    scales: Tensor


def quaternion_to_matrix(quaternions: Tensor) -> Tensor:
    """Rotation matrices (N,3,3) of quaternions (N,4), wxyz, of any length but zero."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def nearest_rotation(matrices: Tensor, iterations: int = 4) -> Tensor:
    """The rotations (N,3,3) nearest to matrices (N,3,3) of positive determinant, e.g. blended rotations.

    Newton's iteration for the polar factor, X <- (X + X^-T) / 2 (Higham 1986): from the singular values of
    blended rotations, 0.4 to 1, four steps reach single precision. Cheaper than an SVD, and its
    derivative has no singularity where singular values coincide.
    """
    x = matrices
    for _ in range(iterations):
        a, b, c = x.unbind(-2)
        cofactors = torch.stack(
            (torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)), dim=-2
        )
        determinant = (a * cofactors[..., 0, :]).sum(-1).clamp_min(1e-3)
        x = (x + cofactors / determinant[..., None, None]) / 2
    return x


def pose_gaussians(
    means: Tensor,
    rotations: Tensor,
    weights: Tensor,
    transforms: Tensor,
    trans: Tensor,
) -> tuple[Tensor, Tensor]:
    """Linear blend skinning of Gaussians.

    Args:
        means: (N,3) centres in the rest pose, metres.
        rotations: (N,3,3) from each Gaussian's axes to the rest pose.
        weights: (N,24) skinning weights, rows summing to one.
        transforms: (24,4,4) of the joints, from the rest pose to the posed body.
        trans: (3,) translation of the whole body, metres.

    Returns:
        (N,3) posed centres and (N,3,3) posed rotations; scales do not change, since the blended matrix is
        brought back to a rotation before it turns a Gaussian.
    """
    blended = (weights @ transforms[:, :3, :].flatten(1)).unflatten(-1, (3, 4))
    linear = blended[..., :3]
    posed = (linear @ means[..., None])[..., 0] + blended[..., 3] + trans
    return posed, nearest_rotation(linear) @ rotations


def covariances(rotations: Tensor, scales: Tensor) -> Tensor:
    """R diag(s^2) R^T, (N,3,3), of rotations (N,3,3) and standard deviations (N,3)."""
    half = rotations * scales[:, None, :]
    return half @ half.mT
