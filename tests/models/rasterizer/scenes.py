"""Random scenes for the rasteriser's tests."""

import torch
from torch import Tensor

from models.rasterizer import covariance_from

WIDTH, HEIGHT = 61, 45  # not multiples of a tile
Scene = tuple[Tensor, ...]  # means, covariances, colours, opacities


def intrinsics() -> Tensor:
    return torch.tensor([[60.0, 0, 30], [0, 55, 22], [0, 0, 1]], dtype=torch.float64)


def random_scene(count: int, size: float = 0.1, seed: int = 0) -> Scene:
    """Means, covariances, colours and opacities, float64, most of them in view; `size` in metres."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    means = torch.stack([uniform(count) * 2 - 1, uniform(count) * 2 - 1, 2 + 2 * uniform(count)], -1)
    quaternions = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    covariances = covariance_from(quaternions, size * (0.2 + 2 * uniform(count, 3)))
    return means, covariances, uniform(count, 3), uniform(count)
