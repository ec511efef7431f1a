"""How good an avatar is on frames that it has not learned from, and which of its parts were ever seen."""

import numpy as np
import torch
from torch import Tensor

from models.avatar.avatar import Avatar
from models.avatar.observations import Crops
from models.metrics.image import agreement
from models.rasterizer import render

SEEN = 0.1  # pixels of weight that a Gaussian must have in a frame to count as seen


@torch.no_grad()
def figures(
    avatar: Avatar, poses: Tensor, trans: Tensor, crops: Crops, frames: list[int]
) -> dict[str, float]:
    """Mean PSNR (dB), SSIM and silhouette IoU over some frames, rendering and picture over white, tight crop.

    Args:
        avatar, poses (T,72), trans (T,3): what is rendered.
        crops: pictures and masks of the frames.
    """
    values = []
    for t in frames:
        crop = crops[t]
        drawn = avatar.render(poses[t], trans[t], crop.K, crop.width, crop.height).cpu().numpy()
        mask, image = crop.coverage().cpu().numpy(), crop.color().cpu().numpy()
        score = agreement(image, mask, drawn[..., :3], drawn[..., 3])
        values.append((score.psnr_crop, score.ssim_crop, score.iou))
    return dict(zip(("psnr", "ssim", "iou"), np.mean(values, axis=0).tolist(), strict=True))


def coverage(avatar: Avatar, poses: Tensor, trans: Tensor, crops: Crops, frames: list[int]) -> Tensor:
    """The share of the frames in which each Gaussian was seen, (N,).

    The picture's derivative by a Gaussian's colour is the weight that it had in the picture.
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
        seen += weight[:, 0] > SEEN
    return seen / max(len(frames), 1)
