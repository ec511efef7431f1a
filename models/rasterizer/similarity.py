# mypy: allow-untyped-defs
"""Structural similarity (SSIM) of two pictures, as 3D Gaussian splatting's loss uses it.

Wang et al. 2004 with a Gaussian window of 11 x 11 pixels, sigma 1.5, pictures continued by zeros, every
channel for itself. On the CPU it is compiled code with its gradient written by hand, elsewhere PyTorch's
convolution.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.placement import placed
from models.rasterizer.compiling import compiled
from models.rasterizer.lanes import WIDTH, load, spread, store, total
from models.rasterizer.threads import num_threads, scratch, share

RADIUS, SIGMA = 5, 1.5
C1, C2 = 0.01**2, 0.03**2  # for values in [0, 1]
TAPS = 2 * RADIUS + 1
_window = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
_window /= _window.sum()
_WINDOW = torch.from_numpy(_window)


def ssim(image: Tensor, target: Tensor, sizes: Sequence[tuple[int, int]] | None = None) -> Tensor:
    """Mean SSIM of two pictures (H, W, C) with values in [0, 1], or of B pairs (B, H, W, C); a scalar, 1 for
    equal pictures.

    Args:
        sizes: of pairs that differ in size, height and width of each of the B: the rest, right and below, is
            no part of the picture. The result is the mean of every pair's own.

    Raises:
        ValueError: if they are not pictures of the same shape.
    """
    if image.shape != target.shape or image.dim() not in (3, 4) or not image.numel():
        raise ValueError(
            "SSIM needs two pictures (H, W, C) or two batches of them, not "
            f"{tuple(image.shape)}, {tuple(target.shape)}"
        )
    if image.dim() == 3:
        image, target = image[None], target[None]
    fits = image.device.type == "cpu" and image.dtype == target.dtype == torch.float32
    count, height, width, channels = image.shape
    extents = sizes or [(height, width)] * count
    if fits and not target.requires_grad and min(w for _, w in extents) * channels >= WIDTH:
        pairs = zip(image, target, extents, strict=True)
        values = [_Similarity.apply(a[:h, :w], b[:h, :w]) for a, b, (h, w) in pairs]
        return values[0] if count == 1 else torch.stack(values).mean()
    return _by_convolution(image, target, sizes)


def _by_convolution(image: Tensor, target: Tensor, sizes: Sequence[tuple[int, int]] | None = None) -> Tensor:
    """Of pictures (B, H, W, C). All that is blurred goes through two convolutions, one along each axis."""
    channels = 4 * image.shape[-1]
    if sizes is not None:
        shares = shares_of_pixels(sizes, image.shape[1], image.shape[2], image.device).to(image.dtype)
        inside = (shares > 0)[..., None]
        image, target = image * inside, target * inside
    blurred = torch.cat((image, target, image * image + target * target, image * target), -1).movedim(-1, 1)
    window = placed(_WINDOW, image.device, image.dtype)
    for shape, padding in (((TAPS, 1), (RADIUS, 0)), ((1, TAPS), (0, RADIUS))):
        kernel = window.reshape(shape).expand(channels, 1, *shape)
        blurred = torch.nn.functional.conv2d(blurred, kernel, padding=padding, groups=channels)
    mean_a, mean_b, squares, product = blurred.chunk(4, 1)
    both, either = mean_a * mean_b, mean_a**2 + mean_b**2
    likeness = (2 * both + C1) * (2 * (product - both) + C2) / ((either + C1) * (squares - either + C2))
    return likeness.mean() if sizes is None else (likeness.mean(1) * shares).sum()


def shares_of_pixels(
    sizes: Sequence[tuple[int, int]], height: int, width: int, device: torch.device
) -> Tensor:
    """What every pixel of B filled-up pictures counts in the mean of the pictures' means, (B, height, width):
    all add up to one; zero beyond a picture's own height and width in `sizes`."""
    shares = torch.zeros(len(sizes), height, width, device=device)
    for picture, (h, w) in zip(shares, sizes, strict=True):
        picture[:h, :w] = 1 / (len(sizes) * h * w)
    return shares


class _Similarity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor) -> Tensor:
        height, width, channels = image.shape
        a, b = (picture.detach().reshape(height, -1).contiguous().numpy() for picture in (image, target))
        parts = max(1, min(num_threads(), height // 16))
        bounds = [height * part // parts for part in range(parts + 1)]
        maps = scratch.empty("ssim", 3 * height, width * channels)
        row_sums = np.empty(height, np.float32)
        window = _window.astype(np.float32)
        share(lambda first, last: _compare(first, last, a, b, channels, window, maps, row_sums), bounds)
        if ctx.needs_input_grad[0]:
            gradient = torch.empty_like(image, memory_format=torch.contiguous_format)
            rows = gradient.view(height, -1).numpy()
            share(
                lambda first, last: _compare_backward(first, last, a, b, channels, window, maps, rows), bounds
            )
            ctx.save_for_backward(gradient)
        return torch.tensor(row_sums.sum(dtype=np.float64) / a.size, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None


# A row of a picture is one run of size = width * channels floats, so blurring across shifts by `channels`.
# Blocks of Lanes cover it, the last one overlapping the one before. Zeros surround the blurred rows.


@compiled
def _block_start(block, size):
    return min(block * WIDTH, size - WIDTH)


@compiled
def _blur_across(blurred, start, channels, window):
    value = window[0] * load(blurred, start)
    for tap in range(1, TAPS):
        value += window[tap] * load(blurred, start + tap * channels)
    return value


@compiled
def _compare(first, last, a, b, channels, window, maps, row_sums):
    """Sums of SSIM over the rows [first, last), and `maps`: the mean's derivatives by the blurred pictures.

    maps[0:H], maps[H:2H] and maps[2H:3H] are those by blur(a), blur(a a + b b) and blur(a b).
    """
    height, size = a.shape
    flat_a, flat_b, flat_maps = a.reshape(-1), b.reshape(-1), maps.reshape(-1)
    blocks = (size + WIDTH - 1) // WIDTH
    length = size + 2 * RADIUS * channels
    blurred = np.zeros(4 * length, np.float32)
    values = np.zeros(blocks * WIDTH, np.float32)
    share_of_one = np.float32(1 / (height * size))
    c1, c2, two = np.float32(C1), np.float32(C2), np.float32(2)
    for y in range(first, last):
        top, bottom = max(0, y - RADIUS), min(height, y + RADIUS + 1)
        for block in range(blocks):
            start = _block_start(block, size)
            zero = spread(np.float32(0))
            blur_a, blur_b, blur_squares, blur_product = zero, zero, zero, zero
            for row in range(top, bottom):
                weight = window[row - y + RADIUS]
                va, vb = load(flat_a, row * size + start), load(flat_b, row * size + start)
                blur_a += weight * va
                blur_b += weight * vb
                blur_squares += weight * (va * va + vb * vb)
                blur_product += weight * (va * vb)
            at = RADIUS * channels + start
            store(blurred, at, blur_a)
            store(blurred, at + length, blur_b)
            store(blurred, at + 2 * length, blur_squares)
            store(blurred, at + 3 * length, blur_product)
        for block in range(blocks):
            start = _block_start(block, size)
            mean_a = _blur_across(blurred, start, channels, window)
            mean_b = _blur_across(blurred, start + length, channels, window)
            product = _blur_across(blurred, start + 3 * length, channels, window) - mean_a * mean_b
            power = mean_a * mean_a + mean_b * mean_b
            variances = _blur_across(blurred, start + 2 * length, channels, window) - power
            a1, a2 = two * mean_a * mean_b + c1, two * product + c2
            by_b1, by_b2 = np.float32(1) / (power + c1), np.float32(1) / (variances + c2)
            value = a1 * a2 * by_b1 * by_b2
            by_mean = two * (mean_b * (a2 - a1) * by_b1 * by_b2 + mean_a * value * (by_b2 - by_b1))
            store(values, start, value)
            store(flat_maps, y * size + start, share_of_one * by_mean)
            store(flat_maps, (height + y) * size + start, np.float32(-share_of_one) * value * by_b2)
            store(flat_maps, (2 * height + y) * size + start, two * share_of_one * a1 * by_b1 * by_b2)
        row_sum = spread(np.float32(0))
        for block in range(blocks):
            row_sum += load(values, block * WIDTH)
        row_sums[y] = total(row_sum)


@compiled
def _compare_backward(first, last, a, b, channels, window, maps, gradient):
    """The gradient by `a` in the rows [first, last) from the maps: blurring is its own adjoint."""
    height, size = a.shape
    flat_a, flat_b = a.reshape(-1), b.reshape(-1)
    flat_maps, flat_gradient = maps.reshape(-1), gradient.reshape(-1)
    blocks = (size + WIDTH - 1) // WIDTH
    length = size + 2 * RADIUS * channels
    blurred = np.zeros(3 * length, np.float32)
    for y in range(first, last):
        top, bottom = max(0, y - RADIUS), min(height, y + RADIUS + 1)
        for block in range(blocks):
            start = _block_start(block, size)
            zero = spread(np.float32(0))
            by_mean, by_squares, by_product = zero, zero, zero
            for row in range(top, bottom):
                weight = window[row - y + RADIUS]
                by_mean += weight * load(flat_maps, row * size + start)
                by_squares += weight * load(flat_maps, (height + row) * size + start)
                by_product += weight * load(flat_maps, (2 * height + row) * size + start)
            at = RADIUS * channels + start
            store(blurred, at, by_mean)
            store(blurred, at + length, by_squares)
            store(blurred, at + 2 * length, by_product)
        for block in range(blocks):
            start = _block_start(block, size)
            by_mean = _blur_across(blurred, start, channels, window)
            by_squares = _blur_across(blurred, start + length, channels, window)
            by_product = _blur_across(blurred, start + 2 * length, channels, window)
            va, vb = load(flat_a, y * size + start), load(flat_b, y * size + start)
            result = by_mean + np.float32(2) * va * by_squares + vb * by_product
            store(flat_gradient, y * size + start, result)
