"""Engine "gsplat": gsplat's CUDA rasteriser, one call for a whole batch of frames."""

import torch
from torch import Tensor


def render(
    means: Tensor, covariances: Tensor, colors: Tensor, opacities: Tensor, K: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour, alpha and depth; see `models.rasterizer.render`. Every argument has the frames in front or none has.

    gsplat computes in float32. It compiles its kernels on the first call of an installation (minutes, needs nvcc).
    """
    import gsplat

    frames = means.shape[:-2]
    if means.shape[-2] == 0:
        nothing = means.sum()  # 0, and keeps the result differentiable
        return tuple(nothing.expand(*frames, height, width, *rest) for rest in ((3,), (), ()))
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
