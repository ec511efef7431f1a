"""LPIPS, with a backbone that is already on this machine: nothing is ever downloaded.

R. Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018; version
0.1 with AlexNet, whose ImageNet weights are looked for in torch's cache, where torchvision would put them.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from models.metrics.image import Distance

BACKBONE = "alexnet-owt-7be5be79.pth"
SMALLEST = 64  # pixels each way that AlexNet needs


class Unavailable(Exception):
    """LPIPS cannot be computed on this machine; the text says why and what would help."""


def backbone_path() -> Path:
    """Where the backbone's weights are looked for."""
    return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE


def load_lpips() -> Distance:
    """LPIPS (AlexNet) of two images (H, W, 3) in [0, 1], on the CPU; None for images below `SMALLEST`.

    Raises:
        Unavailable: the library or its backbone is not here, or the backbone is another file.
    """
    path = backbone_path()
    if not path.is_file():
        raise Unavailable(f"AlexNet's weights are not at {path}")
    if not _digest(path).startswith(BACKBONE.rpartition("-")[2].removesuffix(".pth")):
        raise Unavailable(f"{path} is not torchvision's {BACKBONE}")
    try:
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        network = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True).eval()
    except ImportError as error:  # torchmetrics, or torchvision within it
        raise Unavailable(f"the extra [lpips] is not installed ({error})") from error

    @torch.no_grad()
    def distance(a: ArrayLike, b: ArrayLike) -> float | None:
        first, second = (_batch(image) for image in (a, b))
        if min(first.shape[-2:]) < SMALLEST:
            return None
        return float(network(first, second))

    return distance


def _batch(image: ArrayLike) -> torch.Tensor:
    pixels = np.asarray(image, np.float32).clip(0, 1)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
