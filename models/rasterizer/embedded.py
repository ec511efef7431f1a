"""Engine "numba": the embedded CPU renderer, compiled on first use, its gradient written by hand."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.rasterizer import kernels
from models.rasterizer.threads import num_threads, scratch, share

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Pictures = tuple[Floats, Floats, Floats]  # colour, alpha, depth, or the loss's gradient by them
# Pairs of splat and tile worked on at a time; bounds the memory that Gaussians as large as the picture take.
MAX_PAIRS = 2_000_000


def render(
    means: Tensor, covariances: Tensor, colors: Tensor, opacities: Tensor, K: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour, alpha and depth; see `models.rasterizer.render`. Computes in float32."""
    fx, fy, cx, cy = (float(K[entry]) for entry in ((0, 0), (1, 1), (0, 2), (1, 2)))
    inputs = (tensor.float().contiguous() for tensor in (means, covariances, colors, opacities))
    return _Render.apply(*inputs, _Camera((fx, fy, cx, cy), width, height))


class _Camera(NamedTuple):
    """Focal lengths and principal point, and the picture's size; pixels."""

    intrinsics: tuple[float, float, float, float]
    width: int
    height: int


class _Gaussians(NamedTuple):
    """The arguments of `render`, as arrays."""

    means: Floats
    covariances: Floats
    colors: Floats
    opacities: Floats


@dataclass(frozen=True)
class _Splats:
    """The Gaussians on the picture (see `kernels.project`) and the visible ones' order, front to back."""

    drawn: Floats
    rects: Ints
    order: Ints


@dataclass(frozen=True)
class _Band:
    """Some rows of tiles, with the list of splats of every tile (see `kernels.bin_splats`)."""

    top: int
    tile_starts: npt.NDArray[np.int64]
    tile_splats: Ints
    slot_starts: npt.NDArray[np.int64]


def _even(count: int) -> list[int]:
    """Bounds of equal parts of `count` Gaussians, one for every thread that is worth waking."""
    parts = max(1, min(num_threads(), count // 4096))
    return [count * part // parts for part in range(parts + 1)]


def _balanced(band: _Band) -> list[int]:
    """Bounds of runs of tiles with about equally many splats, several for every thread."""
    tiles = len(band.tile_starts) - 1
    parts = 4 * num_threads() if num_threads() > 1 else 1
    targets = [band.tile_starts[-1] * part // parts for part in range(1, parts)]
    return sorted({0, tiles, *np.searchsorted(band.tile_starts, targets).tolist()})


def _project(gaussians: _Gaussians, camera: _Camera) -> _Splats:
    count = len(gaussians.means)
    splats = np.empty((count, kernels.SPLAT_FIELDS), np.float32)
    rects = np.empty((count, 4), np.int32)
    share(lambda first, last: kernels.project(first, last, *gaussians, *camera, splats, rects), _even(count))
    order = np.empty(count, np.int32)
    depth_bits = splats[:, kernels.DEPTH].view(np.uint32)
    return _Splats(splats, rects, order[: kernels.sort_by_depth(rects, depth_bits, order)])


def _bands(splats: _Splats, camera: _Camera) -> Iterator[_Band]:
    """All rows of tiles, top to bottom, in as few bands as MAX_PAIRS allows."""
    tiles_x, tiles_y = -(-camera.width // kernels.TILE), -(-camera.height // kernels.TILE)
    counts = np.zeros(tiles_y, np.int64)
    kernels.count_per_tile_row(splats.rects, counts)
    top = 0
    while top < tiles_y:
        bottom = top + 1
        while bottom < tiles_y and counts[top : bottom + 1].sum() <= MAX_PAIRS:
            bottom += 1
        tile_starts = np.empty((bottom - top) * tiles_x + 1, np.int64)
        tile_splats = np.empty(counts[top:bottom].sum(), np.int32)
        slot_starts = np.empty(len(splats.rects) + 1, np.int64)
        kernels.bin_splats(
            splats.order, splats.rects, top, bottom, tiles_x, tile_starts, tile_splats, slot_starts
        )
        yield _Band(top * kernels.TILE, tile_starts, tile_splats, slot_starts)
        top = bottom


def _rasterize(band: _Band, splats: _Splats, camera: _Camera, pictures: Pictures) -> None:
    def work(first: int, last: int) -> None:
        kernels.rasterize(
            first, last, band.top, camera.width, camera.height,
            band.tile_starts, band.tile_splats, splats.drawn, pictures,
        )  # fmt: skip

    share(work, _balanced(band))


def _rasterize_backward(
    band: _Band, splats: _Splats, camera: _Camera, pictures: Pictures, upstream: Pictures, sums: Floats
) -> None:
    """Add every splat's sums over its pixels in the band to `sums`."""
    slots = scratch.empty("slots", len(band.tile_splats), kernels.SLOT_FIELDS)

    def work(first: int, last: int) -> None:
        kernels.rasterize_backward(
            first, last, band.top, camera.width, camera.height,
            band.tile_starts, band.tile_splats, splats.drawn, splats.rects, band.slot_starts,
            pictures, upstream, slots,
        )  # fmt: skip

    share(work, _balanced(band))
    share(lambda first, last: kernels.sum_slots(first, last, band.slot_starts, slots, sums), _even(len(sums)))


class _Render(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, means: Tensor, covariances: Tensor, colors: Tensor, opacities: Tensor, camera: _Camera
    ) -> tuple[Tensor, ...]:
        inputs = (means, covariances, colors, opacities)
        splats = _project(_Gaussians(*_arrays(inputs)), camera)
        size = (camera.height, camera.width)
        # Not torch.zeros: it may wake PyTorch's own threads, which then compete with ours.
        color, alpha, depth = (
            torch.from_numpy(np.zeros((*size, *rest), np.float32)) for rest in ((3,), (), ())
        )
        for band in _bands(splats, camera):
            _rasterize(band, splats, camera, _arrays((color, alpha, depth)))
        ctx.save_for_backward(*inputs, color, alpha, depth)
        ctx.splats, ctx.camera = splats, camera
        return color, alpha, depth

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        inputs, pictures = ctx.saved_tensors[:4], ctx.saved_tensors[4:]
        splats, camera, (means, covariances, _, opacities) = ctx.splats, ctx.camera, _arrays(inputs)
        sums = scratch.zeros("sums", len(splats.rects), kernels.SLOT_FIELDS)
        drawn, received = _arrays(pictures), _arrays(upstream)
        for band in _bands(splats, camera):
            _rasterize_backward(band, splats, camera, drawn, received, sums)
        gradients = tuple(torch.empty_like(tensor) for tensor in inputs)

        def work(first: int, last: int) -> None:
            kernels.project_backward(
                first, last, splats.rects, sums, means, covariances, opacities, *camera, _arrays(gradients)
            )

        share(work, _even(len(sums)))
        return *gradients, None


def _arrays(tensors: Iterable[Tensor]) -> Any:
    """The tensors' own memory as a tuple of arrays; a copy of one that is not contiguous."""
    return tuple(tensor.detach().contiguous().numpy() for tensor in tensors)
