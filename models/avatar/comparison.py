# mypy: allow-untyped-defs
"""A rendering against the picture it should be: both over one background, and how far they are apart.

On the CPU in single precision it is compiled code with its gradient written by hand, elsewhere PyTorch.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.avatar.losses import over
from models.avatar.observations import Crop
from models.rasterizer import Rendering
from models.rasterizer.compiling import compiled
from models.rasterizer.threads import num_threads, share

_WORTH_A_THREAD = 64  # rows


class Comparison(NamedTuple):
    """Attributes:
    seen, wanted: (B,h,w,3) the rendering and the picture's person over the background.
    color: mean absolute difference of the two, differentiable, as `seen`, in the rendering.
    silhouette: mean squared difference of alpha and mask, likewise.
    """

    seen: Tensor
    wanted: Tensor
    color: Tensor
    silhouette: Tensor


def compare(drawn: Rendering, crop: Crop, backgrounds: Tensor) -> Comparison:
    """Renderings and crops of B frames over their backgrounds (B,3); means over the frames' own pixels."""
    if len(drawn.color) == 1 and drawn.color.device.type == "cpu" and drawn.color.dtype == torch.float32:
        pixels = (crop.image[0], crop.mask[0], backgrounds[0])
        rendered = (drawn.color[0].contiguous(), drawn.alpha[0].contiguous())
        seen, wanted, color, silhouette = _Compare.apply(*rendered, *pixels)
        return Comparison(seen[None], wanted[None], color, silhouette)
    return by_definition(drawn, crop, backgrounds)


def by_definition(drawn: Rendering, crop: Crop, backgrounds: Tensor) -> Comparison:
    """What `compare` computes, in PyTorch."""
    coverage = crop.coverage()
    seen = over(drawn.color, drawn.alpha, backgrounds)
    wanted = over(crop.color() * coverage[..., None], coverage, backgrounds)
    color = crop.mean((seen - wanted).abs())
    return Comparison(seen, wanted, color, crop.mean((drawn.alpha - coverage).square()))


class _Compare(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, color: Tensor, alpha: Tensor, image: Tensor, mask: Tensor, background: Tensor
    ) -> tuple[Tensor, ...]:
        seen, wanted = torch.empty_like(color), torch.empty_like(color)
        sums = np.empty((len(color), 2))
        arrays = _arrays(color, alpha, image, mask, background, seen, wanted)
        share(lambda first, last: _compare(first, last, *arrays, sums), _rows(len(color)))
        ctx.save_for_backward(alpha, mask, background, seen, wanted)
        ctx.mark_non_differentiable(wanted)
        means = (sums.sum(0) / (color.numel(), alpha.numel())).astype(np.float32)
        return seen, wanted, *torch.from_numpy(means).unbind()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, by_seen: Tensor, _: Tensor, by_color: Tensor, by_silhouette: Tensor
    ) -> tuple[Tensor | None, ...]:
        alpha, seen = ctx.saved_tensors[0], ctx.saved_tensors[3]
        slopes = float(by_color) / seen.numel(), 2 * float(by_silhouette) / alpha.numel()
        gradients = torch.empty_like(seen), torch.empty_like(alpha)
        arrays = _arrays(*ctx.saved_tensors, by_seen.contiguous(), *gradients)
        share(lambda first, last: _compare_backward(first, last, *arrays, *slopes), _rows(len(alpha)))
        return *gradients, None, None, None


def _rows(height: int) -> list[int]:
    parts = max(1, min(num_threads(), height // _WORTH_A_THREAD))
    return [height * part // parts for part in range(parts + 1)]


def _arrays(*tensors: Tensor) -> Any:
    return tuple(tensor.detach().numpy() for tensor in tensors)


@compiled
def _compare(first, last, color, alpha, image, mask, background, seen, wanted, sums):
    """Fill `seen`, `wanted` and `sums`, of every row, in the rows [first, last)."""
    one, white = np.float32(1), np.float32(255)
    for y in range(first, last):
        by_color = by_alpha = 0.0
        for x in range(alpha.shape[1]):
            coverage = np.float32(mask[y, x]) / white
            through, beside = one - alpha[y, x], one - coverage
            distance = np.float32(0)
            for k in range(3):
                seen[y, x, k] = color[y, x, k] + through * background[k]
                wanted[y, x, k] = np.float32(image[y, x, k]) / white * coverage + beside * background[k]
                distance += abs(seen[y, x, k] - wanted[y, x, k])
            by_color += distance
            by_alpha += (alpha[y, x] - coverage) * (alpha[y, x] - coverage)
        sums[y, 0], sums[y, 1] = by_color, by_alpha


@compiled
def _compare_backward(
    first, last, alpha, mask, background, seen, wanted, by_seen, by_color, by_alpha, color_slope, alpha_slope
):
    """Fill `by_color` and `by_alpha`, the gradients by the rendering, in the rows [first, last)."""
    white, slope, zero = np.float32(255), np.float32(color_slope), np.float32(0)
    for y in range(first, last):
        for x in range(alpha.shape[1]):
            shade = zero
            for k in range(3):
                difference = seen[y, x, k] - wanted[y, x, k]
                sign = slope if difference > zero else (-slope if difference < zero else zero)
                by_color[y, x, k] = by_seen[y, x, k] + sign
                shade += by_color[y, x, k] * background[k]
            coverage = np.float32(mask[y, x]) / white
            by_alpha[y, x] = np.float32(alpha_slope) * (alpha[y, x] - coverage) - shade
