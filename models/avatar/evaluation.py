"""How good an avatar is on frames that it has not learned from, and which of its parts were ever seen."""

import numpy as np
import torch
from torch import Tensor

from models.avatar.avatar import Avatar
from models.avatar.observations import Crops
from models.avatar.posing import PosedGaussians
from models.cameras import Camera
from models.metrics.image import agreement, comparable
from models.rasterizer import render

SEEN = 0.1  # of a Gaussian's weight with nothing before it; neighbours share a pixel by three or four


@torch.no_grad()
def figures(
    avatar: Avatar, poses: Tensor, trans: Tensor, crops: Crops, frames: list[int]
) -> dict[str, float]:
    """Mean PSNR (dB), SSIM and silhouette IoU over some frames, rendering and picture over white, tight crop.

    Args:
        avatar, poses (T,72), trans (T,3): what is rendered.
        crops: pictures and masks of the frames. Those with next to nothing of the person do not count.

    Returns:
        The means; empty if no frame counts.
    """
    values = []
    for t in frames:
        crop = crops[t]
        mask = crop.coverage().cpu().numpy()
        if not comparable(mask):
            continue
        camera = Camera(crop.K, crop.width, crop.height)
        drawn = avatar.pose(poses[t], trans[t]).render(camera).cpu().numpy()
        image = crop.color().cpu().numpy()
        score = agreement(image, mask, drawn[..., :3], drawn[..., 3])
        values.append((score.psnr_crop, score.ssim_crop, score.iou))
    if not values:
        return {}
    return dict(zip(("psnr", "ssim", "iou"), np.mean(values, axis=0).tolist(), strict=True))


def coverage(avatar: Avatar, poses: Tensor, trans: Tensor, crops: Crops, frames: list[int]) -> Tensor:
    """The share of the frames in which each Gaussian was seen, (N,).

    The picture's derivative by a Gaussian's colour is the weight that it had in the picture. It counts as
    seen where that is a fair part of what it would have alone: a little shines through everywhere.
    """
    seen = torch.zeros(len(avatar), device=avatar.means.device)
    for t in frames:
        crop = crops[t]
        posed = avatar.pose(poses[t], trans[t])
        colors = posed.colors.detach().clone().requires_grad_()
        drawn = render(
            posed.means, posed.covariances, colors, posed.opacities, crop.K, crop.width, crop.height
        )
        (weight,) = torch.autograd.grad(drawn.color[..., 0].sum(), colors)
        seen += weight[:, 0] > SEEN * unoccluded(posed, crop.K)
    return seen / max(len(frames), 1)


def unoccluded(posed: PosedGaussians, K: Tensor) -> Tensor:
    """The weight in pixels, (N,), that each Gaussian would have alone: 2 pi opacity sqrt(det C).

    C is its covariance on the image, to which the renderer adds 0.3 px^2 along both axes.
    """
    x, y, z = posed.means.unbind(-1)
    z, zero = z.clamp_min(0.1), torch.zeros_like(x)
    across = K[0, 0] * torch.stack((1 / z, zero, -x / z**2), dim=-1)
    down = K[1, 1] * torch.stack((zero, 1 / z, -y / z**2), dim=-1)
    projection = torch.stack((across, down), dim=-2)
    flat = projection @ posed.covariances @ projection.mT + 0.3 * torch.eye(2, device=z.device)
    return 2 * torch.pi * posed.opacities * torch.linalg.det(flat).clamp_min(0).sqrt()
