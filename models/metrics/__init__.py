"""Figures of merit, each defined once so that every table in the project means the same."""

from models.metrics.image import Agreement, Distance, agreement, iou, over_white, psnr, ssim, tight_crop

__all__ = ["Agreement", "Distance", "agreement", "iou", "over_white", "psnr", "ssim", "tight_crop"]
