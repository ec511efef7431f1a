"""Engine "torch": the renderer's definition in plain PyTorch for any float type, the other engines' oracle.

Every Gaussian is evaluated at every pixel: memory grows as N H W. Autograd gives the gradient.
"""

import torch
from torch import Tensor

BLUR, NEAR, FAR = 0.3, 0.01, 1e10
MIN_ALPHA, MAX_ALPHA, MIN_TRANSMITTANCE = 1 / 255, 0.999, 1e-4


def render(
    means: Tensor, covariances: Tensor, colors: Tensor, opacities: Tensor, K: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour (H, W, 3), alpha (H, W) and depth (H, W); see `models.rasterizer.render`."""
    centers, conics, seen = project(means, covariances, K.to(means), width, height)
    finite = torch.isfinite(colors).all(-1) & torch.isfinite(opacities)
    kept = torch.nonzero(seen & finite).squeeze(-1)
    kept = kept[torch.argsort(means[kept, 2], stable=True)]
    x = torch.arange(width, dtype=means.dtype, device=means.device) + 0.5
    y = torch.arange(height, dtype=means.dtype, device=means.device) + 0.5
    dx = x - centers[kept, 0, None]  # (n, W)
    dy = y - centers[kept, 1, None]  # (n, H)
    a, b, c = conics[kept, :, None, None].unbind(1)
    power = a * dx[:, None, :] ** 2 / 2 + b * dy[:, :, None] * dx[:, None, :] + c * dy[:, :, None] ** 2 / 2
    alpha = (opacities[kept, None, None] * torch.exp(-power)).clamp(max=MAX_ALPHA)
    alpha = alpha * (alpha >= MIN_ALPHA)
    after = torch.cumprod(1 - alpha, 0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    weights = alpha * before * (after > MIN_TRANSMITTANCE)
    total = weights.sum(0)
    depth = torch.einsum("nhw,n->hw", weights, means[kept, 2]) / total.clamp(min=MIN_ALPHA / 2)
    return torch.einsum("nhw,nc->hwc", weights, colors[kept]), total, depth


def project(
    means: Tensor, covariances: Tensor, K: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """EWA projection: centres (N, 2) in pixels, conics (N, 3), seen (N,).

    Conics are xx, xy, yy of the inverse covariance on the picture. The Jacobian is taken at the mean's
    direction clamped to the field of view widened by 15 % of its size.
    """
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    size, center = K.new_tensor([width, height]), torch.stack([cx, cy])
    focal = torch.stack([fx, fy])
    seen = torch.isfinite(means).all(-1) & torch.isfinite(covariances).all((-1, -2))
    seen = seen & (means[:, 2] >= NEAR) & (means[:, 2] <= FAR)
    # What is not seen is replaced by a harmless value, so that no NaN enters the gradient.
    means = torch.where(seen[:, None], means, torch.ones_like(means))
    covariances = torch.where(seen[:, None, None], covariances, torch.eye(3).to(means))
    z = means[:, 2:]
    ray = means[:, :2] / z
    margin = 0.15 * size / focal
    clamped = torch.minimum(torch.maximum(ray, -center / focal - margin), (size - center) / focal + margin)
    jacobian = torch.cat([torch.diag_embed(focal / z), (-focal * clamped / z)[..., None]], -1)
    symmetric = (covariances + covariances.mT) / 2
    blurred = jacobian @ symmetric @ jacobian.mT + BLUR * torch.eye(2).to(means)
    xx, xy, yy = blurred[:, 0, 0], blurred[:, 0, 1], blurred[:, 1, 1]
    determinant = xx * yy - xy * xy
    seen = seen & (xx > 0) & (yy > 0) & (determinant > 0)
    safe = torch.where(seen, determinant, torch.ones_like(determinant))
    return focal * ray + center, torch.stack([yy, -xy, xx], -1) / safe[:, None], seen
