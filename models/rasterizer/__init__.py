"""Differentiable Gaussian splatting: `render`, with one definition and three engines.

- "numba": the embedded CPU renderer; compiles itself on first use (some seconds), then loads from its cache.
- "gsplat": gsplat's CUDA kernels, for CUDA tensors.
- "torch": plain PyTorch, every Gaussian at every pixel; the definition that tests compare the others with.

The definition is gsplat's: EWA projection with the Jacobian taken within the field of view widened by 15 % of
its size on each side, 0.3 px^2 added to the image covariance's diagonal, alpha = min(0.999, opacity
exp(-power)), alphas below 1/255 skipped, a pixel finished before its transmittance would fall to 1e-4, near
plane 0.01 m, Gaussians drawn front to back by the z of their means. Camera space is OpenCV's (x right,
y down, z forward, metres); pixel (x, y) has its centre at (x + 0.5, y + 0.5).
"""

from models.rasterizer.camera import covariance_from, transform
from models.rasterizer.rendering import ENGINES, Rendering, render
from models.rasterizer.similarity import shares_of_pixels, ssim
from models.rasterizer.threads import num_threads, set_num_threads

__all__ = [
    "ENGINES",
    "Rendering",
    "covariance_from",
    "num_threads",
    "render",
    "set_num_threads",
    "shares_of_pixels",
    "ssim",
    "transform",
]
