"""Covariances of Gaussians from rotation and scale, and Gaussians seen from another camera."""

import torch
from torch import Tensor


def covariance_from(rotations: Tensor, scales: Tensor) -> Tensor:
    """R diag(scales)^2 R^T.

    Args:
        rotations: (..., 3, 3) matrices, or (..., 4) quaternions wxyz of any length but 0.
        scales: (..., 3) standard deviations along the axes, in metres.

    Returns:
        Covariances (..., 3, 3).
    """
    if rotations.shape[-1] == 4:
        rotations = _matrix_from(rotations)
    factor = rotations * scales[..., None, :]
    return factor @ factor.mT


def _matrix_from(quaternions: Tensor) -> Tensor:
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(*quaternions.shape[:-1], 3, 3)


def transform(means: Tensor, covariances: Tensor, T_cam_world: Tensor) -> tuple[Tensor, Tensor]:
    """Gaussians of the world in a camera's space.

    Args:
        means: (..., N, 3) in the world, metres.
        covariances: (..., N, 3, 3).
        T_cam_world: (4, 4) or (..., 4, 4), world to camera; rotation and translation.

    Returns:
        Means and covariances in the camera's space, shaped as given.
    """
    rotation, translation = T_cam_world[..., :3, :3], T_cam_world[..., :3, 3]
    turned = rotation[..., None, :, :]
    return means @ rotation.mT + translation[..., None, :], turned @ covariances @ turned.mT
