"""How well a rendering agrees with a picture: PSNR, SSIM, IoU of the silhouettes.

Images are (H, W, 3) or (H, W) arrays in [0, 1]; alphas are (H, W) coverage in [0, 1]. Everything is computed
in float64 on the CPU. These are metrics, not losses: `models.rasterizer.ssim` is the differentiable one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Distance = Callable[[ArrayLike, ArrayLike], float | None]
"""A perceptual distance of two images; None where they are too small for it."""

_WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2


@dataclass(frozen=True)
class Agreement:
    """One rendering against the truth, both over white.

    Attributes:
        psnr, ssim: of the whole image.
        psnr_crop, ssim_crop: of the truth's tight crop; about 10 dB lower, without the white around.
        iou: of the soft silhouettes.
        lpips, lpips_crop: perceptual distance of both; None where it was not asked for, or cannot be told.
    """

    psnr: float
    ssim: float
    psnr_crop: float
    ssim_crop: float
    iou: float
    lpips: float | None = None
    lpips_crop: float | None = None


def psnr(a: ArrayLike, b: ArrayLike) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels, peak 1; infinite for equal images."""
    first, second = _pair(a, b)
    error = float(np.mean((first - second) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


def ssim(a: ArrayLike, b: ArrayLike) -> float:
    """Structural similarity (Wang et al. 2004): 11x11 Gaussian window of sigma 1.5, K1 .01, K2 .03.

    The mean over channels and over the windows that lie wholly inside the image.

    Raises:
        ValueError: an image smaller than the window.
    """
    first, second = _pair(a, b)
    if min(first.shape[:2]) < _WINDOW:
        raise ValueError(f"SSIM needs at least {_WINDOW} pixels each way, got {first.shape[:2]}")
    mean_a, mean_b = _blur(first), _blur(second)
    variance_a = _blur(first * first) - mean_a**2
    variance_b = _blur(second * second) - mean_b**2
    covariance = _blur(first * second) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_a + variance_b + _C2)
    return float(np.mean(luminance * structure))


def iou(a: ArrayLike, b: ArrayLike) -> float:
    """Soft intersection over union of two alphas: sum of minima over sum of maxima; 1 if both are empty."""
    first, second = _pair(a, b)
    union = float(np.maximum(first, second).sum())
    return float(np.minimum(first, second).sum()) / union if union > 0 else 1.0


def over_white(premultiplied: ArrayLike, alpha: ArrayLike) -> Array:
    """Composites a premultiplied image (H, W, 3) with its alpha (H, W) over white."""
    return np.asarray(premultiplied, np.float64) + (1 - np.asarray(alpha, np.float64))[..., None]


def tight_crop(alpha: ArrayLike, margin: int = 5, threshold: float = 0.5) -> tuple[slice, slice]:
    """Rows and columns of the box around alpha > threshold, `margin` pixels wider, cut at the image's edge.

    Raises:
        ValueError: no pixel is above the threshold.
    """
    inside = np.asarray(alpha) > threshold
    if not inside.any():
        raise ValueError("no pixel is covered: there is nothing to crop to")
    return _extent(inside.any(axis=1), margin), _extent(inside.any(axis=0), margin)


def comparable(mask: ArrayLike) -> bool:
    """Whether enough of a subject is in its mask (H, W) for `agreement`: a crop of SSIM's window at least."""
    if not (np.asarray(mask) > 0.5).any():
        return False
    height, width = np.asarray(mask)[tight_crop(mask)].shape
    return min(height, width) >= _WINDOW


def agreement(
    image: ArrayLike,
    mask: ArrayLike,
    color: ArrayLike,
    alpha: ArrayLike,
    distance: Distance | None = None,
) -> Agreement:
    """Compares a rendering with a picture whose subject is cut out, both over white.

    Args:
        image: the picture (H, W, 3), its background still there.
        mask: the subject's coverage in it (H, W).
        color: the rendering (H, W, 3), premultiplied.
        alpha: its coverage (H, W).
        distance: LPIPS, if it is wanted.

    Raises:
        ValueError: shapes differ, the mask is empty, or its crop is smaller than SSIM's window.
    """
    coverage = np.asarray(mask, np.float64)
    truth = over_white(np.asarray(image, np.float64) * coverage[..., None], coverage)
    rendered = over_white(color, alpha)
    crop = tight_crop(coverage)
    return Agreement(
        psnr=psnr(truth, rendered),
        ssim=ssim(truth, rendered),
        psnr_crop=psnr(truth[crop], rendered[crop]),
        ssim_crop=ssim(truth[crop], rendered[crop]),
        iou=iou(coverage, alpha),
        lpips=distance(truth, rendered) if distance else None,
        lpips_crop=distance(truth[crop], rendered[crop]) if distance else None,
    )


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"shapes differ: {first.shape} and {second.shape}")
    return first, second


def _blur(image: Array) -> Array:
    """The Gaussian mean of every window inside the image."""
    blurred = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA)
    edge = _WINDOW // 2
    return np.asarray(blurred[edge:-edge, edge:-edge])


def _extent(occupied: ArrayLike, margin: int) -> slice:
    indices = np.flatnonzero(np.asarray(occupied))
    return slice(max(int(indices[0]) - margin, 0), int(indices[-1]) + 1 + margin)
