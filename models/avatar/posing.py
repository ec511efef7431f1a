"""Carrying Gaussians from the rest pose to a posed body: skinning of their centres and of their axes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.avatar import posing_kernels
from models.body.rotations import quaternion_to_matrix
from models.body.skinning import blend, nearest_rotation, transform_points


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


def pose_ellipsoids(
    means: Tensor, quaternions: Tensor, log_scales: Tensor, weights: Tensor, transforms: Tensor
) -> tuple[Tensor, Tensor]:
    """What the renderer needs of posed Gaussians: `pose_gaussians` and `covariances` in one.

    On the CPU in single precision it is compiled code with its gradient written by hand, elsewhere PyTorch.

    Args:
        means: (N,3) centres in the rest pose, metres.
        quaternions: (N,4) wxyz of any length but zero, each Gaussian's axes in the rest pose.
        log_scales: (N,3) natural logarithms of the standard deviations in metres.
        weights: (N,24) skinning weights, rows summing to one.
        transforms: (24,4,4) of the joints, from the rest pose to the posed body, the translation included; or
            (B,24,4,4) of B bodies.

    Returns:
        (N,3) posed centres and (N,3,3) covariances, metres^2; or both with a B in front.
    """
    arguments = (means, quaternions, log_scales, weights, transforms)
    fits = all(a.device.type == "cpu" and a.dtype == torch.float32 for a in arguments)
    if fits and not weights.requires_grad:
        if transforms.ndim == 3:
            return posing_kernels.pose(*arguments)
        frames = [posing_kernels.pose(*arguments[:-1], frame) for frame in transforms]
        return torch.stack([frame[0] for frame in frames]), torch.stack([frame[1] for frame in frames])
    posed, axes = pose_gaussians(means, quaternion_to_matrix(quaternions), weights, transforms)
    return posed, covariances(axes, log_scales.exp())


def pose_gaussians(
    means: Tensor, rotations: Tensor, weights: Tensor, transforms: Tensor
) -> tuple[Tensor, Tensor]:
    """Linear blend skinning of Gaussians.

    Args:
        means: (N,3) centres in the rest pose, metres.
        rotations: (N,3,3) from each Gaussian's axes to the rest pose.
        weights: (N,24) skinning weights, rows summing to one.
        transforms: (24,4,4) of the joints, from the rest pose to the posed body, the translation included; or
            (B,24,4,4) of B bodies.

    Returns:
        (N,3) posed centres and (N,3,3) posed rotations, or both with a B in front. Sizes do not change: the
        blended matrix is brought back to a rotation before it turns a Gaussian.
    """
    blended = blend(weights, transforms)
    return transform_points(means, blended), nearest_rotation(blended[..., :3]) @ rotations


def covariances(rotations: Tensor, scales: Tensor) -> Tensor:
    """R diag(s^2) R^T, (...,N,3,3), of rotations (...,N,3,3) and standard deviations (N,3)."""
    half = rotations * scales[..., None, :]
    return half @ half.mT
