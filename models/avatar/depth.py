"""Depth maps as evidence: their unknown scale and shift, and how far their errors are trusted.

A relative map d relates to the inverse of the distance z by 1/z = slope d + shift. The slope is fitted once
over the clip, when the silhouettes have placed the body; the shift is free in every frame. A fit of both in
every frame would follow the wrong pose and say nothing about it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.losses import project
from models.avatar.observations import Crop

HUBER = 0.05  # metres
BLUR = 0.12  # standard deviation of the low-pass, in heights of the crop
SOLID = 0.5  # least alpha at which the rendered depth counts
ROUNDS = 20
MIN_PIXELS = 30
POINTS = 1500  # of a frame, at most, in the point form
TINY = 1e-12  # metres^2, keeps the root's derivative finite
SEEN = 0.05  # metres that a Gaussian's centre may be behind the rendered depth, and still be what is seen


def fit_slope(pairs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float | None:
    """The slope of 1/z over d, common to all frames, the shift free in each.

    Robust least squares: regression with one intercept a frame, reweighted by Geman-McClure with the scale
    of the residuals' median.

    Args:
        pairs: for every frame, the map's values d (n,) and the rendered 1/z (n,) there.

    Returns:
        The slope, or None if it is not positive: the map then contradicts the body and is of no use.
    """
    pairs = [(d, y) for d, y in pairs if len(d) >= MIN_PIXELS]
    if not pairs:
        return None
    weights = [np.ones_like(d) for d, _ in pairs]
    slope = 0.0
    for _ in range(ROUNDS):
        above = below = 0.0
        residuals = []
        for (d, y), w in zip(pairs, weights, strict=True):
            d0, y0 = np.average(d, weights=w), np.average(y, weights=w)
            above += (w * (d - d0) * (y - y0)).sum()
            below += (w * (d - d0) ** 2).sum()
            residuals.append((d - d0, y - y0))
        if below <= 0:
            return None
        slope = above / below
        errors = [y - slope * d for d, y in residuals]
        scale = 2 * float(np.median(np.abs(np.concatenate(errors)))) + 1e-9
        weights = [1 / (1 + (e / scale) ** 2) ** 2 for e in errors]
    return float(slope) if np.isfinite(slope) and slope > 0 else None


def depth_loss(rendered: Tensor, alpha: Tensor, crop: Crop, slope: float | None, low: float) -> Tensor:
    """Huber distance in metres between rendered depth and the map, high and low frequencies apart; the mean
    over B frames.

    r = (1/z - slope d - shift) z0^2 with z0 the mean distance: metres along the ray. For relative maps the
    shift is the median over the frame's pixels; for metric ones (slope None) there is none and d = 1 / depth.

    Args:
        rendered: (B,h,w) expected z of the rendering, metres; alpha: (B,h,w).
        crop: of B frames, with depth.
        slope: of the maps, or None for metric ones.
        low: weight of the part of r that is smooth over the body: maps lean whole bodies.
    """
    assert crop.depth is not None and crop.trusted is not None
    mask = (crop.trusted & (alpha.detach() > SOLID)).float()
    count = mask.sum((1, 2))
    distance = rendered.clamp_min(0.1)
    mean = (distance.detach() * mask).sum((1, 2)) / count.clamp_min(1)
    if slope is None:
        error = 1 / distance - 1 / crop.depth.clamp_min(0.1)
    else:
        error = 1 / distance - slope * crop.depth
        error = error - _shift(distance, mask, crop.depth, slope)
    residual = error * mean.square()[:, None, None] * mask
    heights = [crop.height] if crop.sizes is None else [height for height, _ in crop.sizes]
    blur = _Blur(heights, mask)
    smooth = blur(residual) / blur(mask).clamp_min(1e-3) * mask
    huber = _huber(residual - smooth) + low * _huber(smooth)
    return (huber.sum((1, 2)) / count.clamp_min(MIN_PIXELS)).mean()


def point_loss(centres: Tensor, rendered: Tensor, alpha: Tensor, crop: Crop, slope: float | None) -> Tensor:
    """Huber distance of the seen Gaussians' centres to the nearest back-projected point of the map.

    The point form of HumanSplatHMR's depth loss (arXiv 2605.02784). Slope and shift as for `depth_loss`.

    Args:
        centres: (B,N,3) camera space, metres.
        rendered, alpha, crop, slope: as for `depth_loss`.
    """
    assert crop.depth is not None and crop.trusted is not None
    mask = crop.trusted & (alpha.detach() > SOLID)
    distance = rendered.detach().clamp_min(0.1)
    if slope is None:
        mapped = crop.depth
    else:
        shift = _shift(distance, mask.float(), crop.depth, slope)
        mapped = 1 / (slope * crop.depth + shift).clamp_min(1e-3)
    frames = zip(centres, distance, mask, mapped, crop.K, strict=True)
    losses = [_to_nearest(*frame) for frame in frames]
    return torch.stack(losses).mean()


def _to_nearest(centres: Tensor, rendered: Tensor, mask: Tensor, mapped: Tensor, K: Tensor) -> Tensor:
    """Of one frame: the mean over the Gaussians (N,3) that are seen inside the mask (h,w)."""
    pixels = mask.nonzero()
    if len(pixels) < MIN_PIXELS:
        return centres.sum() * 0
    rows, columns = pixels[:: -(-len(pixels) // POINTS)].unbind(1)
    places = torch.stack((columns + 0.5, rows + 0.5, torch.ones_like(rows)), dim=1).to(K)
    points = places @ K.inverse().T * mapped[rows, columns, None]
    height, width = mask.shape
    at = project(centres.detach(), K)
    x, y = (at[:, i].clamp(0, size - 1).long() for i, size in enumerate((width, height)))
    seen = centres[mask[y, x] & (centres.detach()[:, 2] < rendered[y, x] + SEEN)]
    if not len(seen):
        return centres.sum() * 0
    nearest = points[torch.cdist(seen.detach(), points).argmin(1)]
    return _huber(((seen - nearest).square().sum(1) + TINY).sqrt()).mean()


def _shift(distance: Tensor, mask: Tensor, depth: Tensor, slope: float) -> Tensor:
    """The shift (B,1,1) of relative maps: the median residual over the mask's pixels."""
    error = 1 / distance.detach() - slope * depth
    return _masked_median(error[:, ::2, ::2], mask[:, ::2, ::2])


def _huber(residual: Tensor) -> Tensor:
    size = residual.abs()
    return torch.where(size < HUBER, 0.5 * residual.square(), HUBER * (size - 0.5 * HUBER))


def _masked_median(values: Tensor, mask: Tensor) -> Tensor:
    """The median (B,1,1) of values (B,h,w) where the mask is not 0; 0 where it always is."""
    inside = torch.where(mask > 0, values, torch.nan)
    return inside.flatten(1).nanmedian(1).values.nan_to_num()[:, None, None]


class _Blur:
    """A Gaussian blur of pictures (B,h,w) as two matrix products, one along each axis."""

    def __init__(self, heights: list[int], like: Tensor) -> None:
        """
        Args:
            heights: of the person's crops, which set the width of the blur: one for all pictures or B.
        """
        self.rows, self.columns = (
            torch.stack([_blur_matrix(size, BLUR * height, like.device) for height in heights])
            for size in like.shape[1:]
        )

    def __call__(self, pictures: Tensor) -> Tensor:
        return self.rows @ pictures @ self.columns


def _blur_matrix(size: int, sigma: float, device: torch.device) -> Tensor:
    at = torch.arange(size, dtype=torch.float32, device=device)
    matrix = torch.exp(-0.5 * ((at[:, None] - at[None]) / sigma) ** 2)
    return matrix / matrix.sum(1).max()
