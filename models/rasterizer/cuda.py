"""Engine "gsplat": gsplat's CUDA rasteriser, one call for a whole batch of frames."""

import torch
from torch import Tensor

from models.placement import placed

TILE = 16  # pixels, the size that gsplat is tested with
MIN_ALPHA = 1e-10  # as in gsplat's own expected depth
# From the nine entries of a matrix, row by row, to the upper triangle's six of its symmetric part.
_UPPER = torch.zeros(9, 6).index_put_(
    (torch.tensor([0, 1, 3, 2, 6, 4, 5, 7, 8]), torch.tensor([0, 1, 1, 2, 2, 3, 4, 4, 5])),
    torch.tensor([1, 0.5, 0.5, 0.5, 0.5, 1, 0.5, 0.5, 1]),
)

_HARMLESS = torch.cat((torch.ones(3), torch.eye(3).flatten(), torch.zeros(4)))


def render(
    means: Tensor, covariances: Tensor, colors: Tensor, opacities: Tensor, K: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour, alpha and depth; see `models.rasterizer.render`. All have a batch in front, or none has.

    gsplat computes in float32. On the first call of an installation it compiles its kernels: some minutes,
    and it needs nvcc. These are the steps of `gsplat.rasterization` (1.5), one camera a frame; they wait
    for the device once, for the number of pairs of Gaussian and tile, and that function three times.
    """
    import gsplat

    frames = means.shape[:-2]
    if means.shape[-2] == 0:
        nothing = means.sum().expand(*frames, height, width)  # 0, and differentiable like any other result
        return nothing[..., None].expand(*frames, height, width, 3), nothing, nothing
    means, covariances, colors, opacities = _finite(means, covariances, colors, opacities)
    # Shapes from here on have the camera, the only one, behind the frames.
    radii, centers, depths, conics, _ = gsplat.fully_fused_projection(
        means,
        covariances @ placed(_UPPER, means.device),
        None,
        None,
        torch.eye(4, device=means.device).expand(*frames, 1, 4, 4),
        K.to(means).reshape(*frames, 1, 3, 3),
        width,
        height,
        opacities=opacities,
    )
    across, down = -(-width // TILE), -(-height // TILE)
    _, pairs, drawn = gsplat.isect_tiles(centers, radii, depths, TILE, across, down)
    starts = gsplat.isect_offset_encode(pairs, frames.numel(), across, down)
    pictures, alpha = gsplat.rasterize_to_pixels(
        centers,
        conics,
        torch.cat((colors[..., None, :, :], depths[..., None]), -1),
        opacities[..., None, :],
        width,
        height,
        TILE,
        starts.reshape(*frames, 1, down, across),
        drawn,
    )
    pictures, alpha = pictures[..., 0, :, :, :], alpha[..., 0, :, :, 0]
    return pictures[..., :3], alpha, pictures[..., 3] / alpha.clamp_min(MIN_ALPHA)


def _finite(means: Tensor, covariances: Tensor, colors: Tensor, opacities: Tensor) -> tuple[Tensor, ...]:
    """As float32, covariances as nine entries, with every Gaussian that is not finite replaced by one of
    opacity 0, which gsplat skips. All in one tensor, for on a GPU the number of operations counts."""
    packed = torch.cat((means, covariances.flatten(-2), colors, opacities[..., None]), -1).float()
    finite = torch.isfinite(packed).all(-1, keepdim=True)
    sound = torch.where(finite, packed, placed(_HARMLESS, means.device))
    means, covariances, colors, opacities = sound.split((3, 9, 3, 1), -1)
    return means, covariances, colors, opacities[..., 0]
