"""Engine "gsplat": gsplat's CUDA rasteriser, one call for a whole batch of frames."""

import torch
from torch import Tensor


def render(
    means: Tensor, covariances: Tensor, colors: Tensor, opacities: Tensor, K: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour, alpha and depth; see `models.rasterizer.render`. All have a batch in front, or none has.

    gsplat computes in float32. On the first call of an installation it compiles its kernels: some minutes,
    and it needs nvcc.
    """
    import gsplat

    frames = means.shape[:-2]
    if means.shape[-2] == 0:
        nothing = means.sum().expand(*frames, height, width)  # 0, and differentiable like any other result
        return nothing[..., None].expand(*frames, height, width, 3), nothing, nothing
    means, covariances, colors, opacities = _finite(means, covariances, colors, opacities)
    pictures, alpha, _ = gsplat.rasterization(
        means,
        None,
        None,
        opacities,
        colors,
        viewmats=torch.eye(4, device=means.device).expand(*frames, 1, 4, 4),
        Ks=K.to(means).reshape(*frames, 1, 3, 3),
        width=width,
        height=height,
        packed=False,
        render_mode="RGB+ED",
        covars=(covariances + covariances.mT) / 2,  # gsplat reads the upper triangle only
    )
    pictures = pictures[..., 0, :, :, :]  # the only camera
    return pictures[..., :3], alpha[..., 0, :, :, 0], pictures[..., 3]


def _finite(means: Tensor, covariances: Tensor, colors: Tensor, opacities: Tensor) -> tuple[Tensor, ...]:
    """As float32, with every Gaussian that is not finite replaced by one of opacity 0, which gsplat skips."""
    finite = torch.isfinite(means).all(-1) & torch.isfinite(covariances).all((-1, -2))
    finite = finite & torch.isfinite(colors).all(-1) & torch.isfinite(opacities)
    return (
        torch.where(finite[..., None], means.float(), 1.0),
        torch.where(finite[..., None, None], covariances.float(), torch.eye(3, device=means.device)),
        torch.where(finite[..., None], colors.float(), 0.0),
        torch.where(finite, opacities.float(), 0.0),
    )
