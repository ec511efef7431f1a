"""Carrying Gaussians from the rest pose to a posed body: skinning of their centres and of their axes."""

from dataclasses import dataclass

from torch import Tensor

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


def pose_gaussians(
    means: Tensor, rotations: Tensor, weights: Tensor, transforms: Tensor
) -> tuple[Tensor, Tensor]:
    """Linear blend skinning of Gaussians.

    Args:
        means: (N,3) centres in the rest pose, metres.
        rotations: (N,3,3) from each Gaussian's axes to the rest pose.
        weights: (N,24) skinning weights, rows summing to one.
        transforms: (B,24,4,4) of the joints, from the rest pose to B posed bodies, the translation included.

    Returns:
        (B,N,3) posed centres and (B,N,3,3) posed rotations. Sizes do not change: the blended matrix is
        brought back to a rotation before it turns a Gaussian.
    """
    blended = blend(weights, transforms)
    return transform_points(means, blended), nearest_rotation(blended[..., :3]) @ rotations


def covariances(rotations: Tensor, scales: Tensor) -> Tensor:
    """R diag(s^2) R^T, (...,N,3,3), of rotations (...,N,3,3) and standard deviations (N,3)."""
    half = rotations * scales[..., None, :]
    return half @ half.mT
