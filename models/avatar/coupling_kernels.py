# mypy: allow-untyped-defs
"""The compiled form of the usual terms of `coupling`, value and gradient in one pass, on one thread."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.rasterizer.compiling import compiled


class Terms(NamedTuple):
    """Weights of the terms as in the settings, and the cloth margin in metres."""

    margin: float
    laplacian: float
    color_laplacian: float
    offset: float
    scale_bounds: float
    cloth_margin: float


def usual_cost(
    offsets: Tensor,
    colors: Tensor,
    log_scales: Tensor,
    nearest: Tensor,
    bounds: tuple[Tensor, Tensor],
    terms: Terms,
) -> Tensor:
    """See `Coupling`; float32 on the CPU.

    Args:
        offsets, colors, log_scales: (N,3) each.
        nearest: (N,K) neighbours.
        bounds: (N,3) each, least and largest logarithms of the sizes.
        terms: their weights.
    """
    values = (tensor.contiguous() for tensor in (offsets, colors, log_scales))
    return _UsualCost.apply(*values, nearest, *bounds, terms)


class _UsualCost(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        *tensors, terms = inputs
        gradients = tuple(torch.empty_like(tensor) for tensor in tensors[:3])
        value = _usual_cost(*(tensor.detach().numpy() for tensor in (*tensors, *gradients)), *terms)
        ctx.save_for_backward(*gradients)
        return torch.tensor(value, dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return *(upstream * gradient for gradient in ctx.saved_tensors), None, None, None, None


@compiled
def _roughness(values, nearest, factor, by_values):
    """Add the gradient of factor times the sum of squared distances from the neighbours' mean; return it."""
    count, k = nearest.shape
    share, twice = np.float32(1 / k), np.float32(2 * factor)
    total = 0.0
    for i in range(count):
        x = y = z = np.float32(0)
        for m in range(k):
            j = nearest[i, m]
            x += values[j, 0]
            y += values[j, 1]
            z += values[j, 2]
        x, y, z = values[i, 0] - x * share, values[i, 1] - y * share, values[i, 2] - z * share
        total += x * x + y * y + z * z
        x, y, z = x * twice, y * twice, z * twice
        by_values[i, 0] += x
        by_values[i, 1] += y
        by_values[i, 2] += z
        x, y, z = x * share, y * share, z * share
        for m in range(k):
            j = nearest[i, m]
            by_values[j, 0] -= x
            by_values[j, 1] -= y
            by_values[j, 2] -= z
    return factor * total


@compiled
def _usual_cost(
    offsets, colors, log_scales, nearest, smallest, largest, by_offsets, by_colors, by_log_scales,
    margin, laplacian, color_laplacian, offset, scale_bounds, cloth_margin,
):  # fmt: skip
    """The value; fills the three gradients."""
    count = len(offsets)
    total = 0.0
    for i in range(count):
        squared = 0.0
        for k in range(3):
            squared += np.float64(offsets[i, k]) * offsets[i, k]
        length = math.sqrt(squared)
        beyond = max(length - cloth_margin, 0.0)
        total += (margin * beyond * beyond + offset * squared) / count
        along = 2 * offset / count
        if beyond > 0:
            along += 2 * margin * beyond / (length * count)
        for k in range(3):
            by_offsets[i, k] = along * offsets[i, k]
            by_colors[i, k] = 0
            size = log_scales[i, k]
            outside = size - min(max(size, smallest[i, k]), largest[i, k])
            total += scale_bounds * outside * outside / count
            by_log_scales[i, k] = 2 * scale_bounds * outside / count
    if laplacian > 0:
        total += _roughness(offsets, nearest, laplacian / count, by_offsets)
    if color_laplacian > 0:
        total += _roughness(colors, nearest, color_laplacian / count, by_colors)
    return total
