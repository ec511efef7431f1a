"""Carrying Gaussians from the rest pose to a posed body: skinning of their centres and of their axes."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.avatar import posing_kernels
from models.body.rotations import quaternion_to_matrix
from models.body.skinning import blend, nearest_rotation, transform_points
from models.cameras import Camera
from models.rasterizer import render, transform

if TYPE_CHECKING:
    from models.avatar.avatar import Avatar


@dataclass(frozen=True, eq=False)
class PosedGaussians:
    """An avatar in one pose, or in a batch of T poses, in the space of its `trans`.

    For a motion of this project that is camera space (x right, y down, z forward); metres. With a batch, all
    shapes but those of colours, opacities and scales have T in front.

    Attributes:
        avatar: that was posed.
        transforms: (24,4,4) of its joints, from the rest pose.
        means: (N,3) centres.
        covariances: (N,3,3).
    """

    avatar: "Avatar"
    transforms: Tensor
    means: Tensor
    covariances: Tensor

    @property
    def colors(self) -> Tensor:
        """(N,3) in [0, 1]."""
        return self.avatar.colors

    @cached_property
    def opacities(self) -> Tensor:
        """(N,) in (0, 1)."""
        return self.avatar.opacity_logits.sigmoid()

    @cached_property
    def rotations(self) -> Tensor:
        """(N,3,3) proper rotations from each Gaussian's own axes to the pose's space."""
        axes = quaternion_to_matrix(self.avatar.quaternions)
        return pose_gaussians(self.avatar.means, axes, self.avatar.weights, self.transforms)[1]

    @cached_property
    def scales(self) -> Tensor:
        """(N,3) standard deviations along those axes, metres."""
        return self.avatar.log_scales.exp()

    def render(self, camera: Camera, background: Tensor | None = None, engine: str = "auto") -> Tensor:
        """A picture of every pose by the camera, or by its own camera where there are as many as poses; of
        the one pose by every camera.

        Args:
            camera: in the pose's space, or with `T_cam_world` from there. It is moved to the avatar's device.
            background: (3,) or (H,W,3) in [0, 1], what is behind the avatar; without it the picture has an
                alpha channel.
            engine: see `models.rasterizer`; "auto" is gsplat on CUDA and numba on the CPU.

        Returns:
            (H,W,3) over the background, or (H,W,4) with colour premultiplied by alpha; as displayed, in
            [0, 1]. With T in front for a batch of poses or of cameras.

        Raises:
            ValueError: as many cameras as neither one nor the poses; an unknown engine.
        """
        means, shapes, K = self.means, self.covariances, camera.K.to(self.means)
        if camera.T_cam_world is not None:
            means, shapes = transform(means, shapes, camera.T_cam_world.to(means))
        if K.ndim == 3 and means.ndim == 2:
            means, shapes = means.expand(len(K), -1, -1), shapes.expand(len(K), -1, -1, -1)
        drawn = render(
            means, shapes, self.colors, self.opacities, K, camera.width, camera.height, engine=engine
        )
        if background is None:
            return torch.cat((drawn.color, drawn.alpha[..., None]), dim=-1)
        return drawn.color + (1 - drawn.alpha[..., None]) * background.to(means)


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
