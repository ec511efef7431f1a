"""Figures of merit, each defined once so that every table in the project means the same."""

from models.metrics.blur import blur_effect
from models.metrics.image import Agreement, Distance, agreement, iou, over_white, psnr, ssim, tight_crop

__all__ = [
    "Agreement",
    "Distance",
    "agreement",
    "blur_effect",
    "iou",
    "over_white",
    "psnr",
    "ssim",
    "tight_crop",
]
