"""Engine "numba": the CPU renderer, compiled on first use and cached on disk, with its gradient written by hand."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.rasterizer import kernels
from models.rasterizer.threads import num_threads, scratch, share

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
# Pairs of splat and tile worked on at a time; bounds the memory that Gaussians as large as the picture take.
MAX_PAIRS = 2_000_000


def render(
    means: Tensor, covariances: Tensor, colors: Tensor, opacities: Tensor, K: Tensor, width: int, height: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour, alpha and depth; see `models.rasterizer.render`. Computes in float32 on the CPU."""
    camera = tuple(float(K[row, column]) for row, column in ((0, 0), (1, 1), (0, 2), (1, 2)))
    inputs = (tensor.float() for tensor in (means, covariances, colors, opacities))
    return _Render.apply(*inputs, camera, width, height)


@dataclass(frozen=True)
class _Scene:
    """The Gaussians as the kernels read them."""

    means: Floats
    covariances: Floats
    colors: Floats
    opacities: Floats
    camera: tuple[float, ...]
    width: int
    height: int

    @property
    def tiles_x(self) -> int:
        return -(-self.width // kernels.TILE)

    @property
    def tiles_y(self) -> int:
        return -(-self.height // kernels.TILE)


@dataclass(frozen=True)
class _Splats:
    """The Gaussians on the picture (see `kernels.project`) and the order in which the visible ones are drawn."""

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
    """Bounds of equal parts of `count` things, one for every thread."""
    parts = max(1, min(num_threads(), count // 256))
    return [count * part // parts for part in range(parts + 1)]


def _balanced(band: _Band) -> list[int]:
    """Bounds of runs of tiles with about equally many splats, two for every thread."""
    threads = num_threads()
    tiles = len(band.tile_starts) - 1
    if threads == 1:
        return [0, tiles]
    parts = 2 * threads
    targets = [band.tile_starts[-1] * part / parts for part in range(1, parts)]
    cuts = np.searchsorted(band.tile_starts, targets)
    return sorted({0, tiles, *(int(cut) for cut in cuts)})


def _project(scene: _Scene) -> _Splats:
    count = len(scene.means)
    splats = np.empty((count, kernels.SPLAT_FIELDS), np.float32)
    rects = np.empty((count, 4), np.int32)

    def work(first: int, last: int) -> None:
        kernels.project(
            first, last, scene.means, scene.covariances, scene.colors, scene.opacities,
            scene.camera, scene.width, scene.height, splats, rects,
        )  # fmt: skip

    share(work, _even(count))
    order = np.empty(count, np.int32)
    depth_bits = splats[:, kernels.DEPTH].view(np.uint32)
    return _Splats(splats, rects, order[: kernels.sort_by_depth(rects, depth_bits, order)])


def _bands(scene: _Scene, splats: _Splats) -> Iterator[_Band]:
    """All rows of tiles, top to bottom, in as few bands as MAX_PAIRS allows."""
    counts = np.zeros(scene.tiles_y, np.int64)
    kernels.count_per_tile_row(splats.rects, counts)
    top = 0
    while top < scene.tiles_y:
        bottom = top + 1
        while bottom < scene.tiles_y and counts[top : bottom + 1].sum() <= MAX_PAIRS:
            bottom += 1
        pairs = int(counts[top:bottom].sum())
        tile_starts = np.empty((bottom - top) * scene.tiles_x + 1, np.int64)
        tile_splats = np.empty(pairs, np.int32)
        slot_starts = np.empty(len(splats.rects) + 1, np.int64)
        kernels.bin_splats(splats.order, splats.rects, top, bottom, scene.tiles_x, tile_starts, tile_splats, slot_starts)
        yield _Band(top * kernels.TILE, tile_starts, tile_splats, slot_starts)
        top = bottom


class _Render(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        covariances: Tensor,
        colors: Tensor,
        opacities: Tensor,
        camera: tuple[float, ...],
        width: int,
        height: int,
    ) -> tuple[Tensor, ...]:
        arrays = (tensor.detach().contiguous().numpy() for tensor in (means, covariances, colors, opacities))
        scene = _Scene(*arrays, camera, width, height)
        splats = _project(scene)
        color = np.zeros((height, width, 3), np.float32)
        alpha = np.zeros((height, width), np.float32)
        depth = np.zeros((height, width), np.float32)
        for band in _bands(scene, splats):

            def work(first: int, last: int, band: _Band = band) -> None:
                kernels.shade(
                    first, last, band.top, width, height,
                    band.tile_starts, band.tile_splats, splats.drawn, color, alpha, depth,
                )  # fmt: skip

            share(work, _balanced(band))
        ctx.scene, ctx.splats, ctx.pictures = scene, splats, (color, alpha, depth)
        return torch.from_numpy(color), torch.from_numpy(alpha), torch.from_numpy(depth)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        scene, splats = ctx.scene, ctx.splats
        received = tuple(tensor.contiguous().numpy() for tensor in upstream)
        sums = scratch.zeros("sums", len(splats.rects), kernels.SLOT_FIELDS)
        for band in _bands(scene, splats):
            slots = scratch.empty("slots", len(band.tile_splats), kernels.SLOT_FIELDS)

            def unshade(first: int, last: int, band: _Band = band, slots: Floats = slots) -> None:
                kernels.unshade(
                    first, last, band.top, scene.width, scene.height, band.tile_starts, band.tile_splats,
                    splats.drawn, splats.rects, band.slot_starts, ctx.pictures, received, slots,
                )  # fmt: skip

            def sum_slots(first: int, last: int, band: _Band = band, slots: Floats = slots) -> None:
                kernels.sum_slots(first, last, band.slot_starts, slots, sums)

            share(unshade, _balanced(band))
            share(sum_slots, _even(len(sums)))

        gradients = tuple(
            np.empty_like(array) for array in (scene.means, scene.covariances, scene.colors, scene.opacities)
        )

        def unproject(first: int, last: int) -> None:
            kernels.unproject(
                first, last, splats.rects, sums, scene.means, scene.covariances, scene.opacities,
                scene.camera, scene.width, scene.height, gradients,
            )  # fmt: skip

        share(unproject, _even(len(sums)))
        return *(torch.from_numpy(gradient) for gradient in gradients), None, None, None
