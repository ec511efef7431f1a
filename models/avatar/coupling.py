"""Terms that tie the Gaussians to the mesh and to each other, in the rest pose.

The mesh-coupling terms are those of the cloth-aware loss of HumanSplatHMR (arXiv 2605.02784). Every
Gaussian keeps the surface point that it started from, so the nearest normal and point are known at no cost.
"""

import warnings
from typing import cast

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.autograd.function import FunctionCtx

from models.avatar.coupling_kernels import Terms, usual_cost
from models.avatar.gaussians import FLAT, Gaussians
from models.avatar.settings import OptimiserSettings
from models.avatar.surface import neighbours

NEIGHBOURS = 6
SCALE_RANGE = (0.25, 2.0)  # allowed sizes along the surface, in units of the first ones


class Coupling:
    """The sum of all coupling terms of a set of Gaussians that has a weight above zero."""

    def __init__(self, gaussians: Gaussians, settings: OptimiserSettings) -> None:
        device = gaussians.offsets.device
        self.gaussians = gaussians
        self.weights = settings.weights
        self.margin = settings.cloth_margin
        self.log_ratio = float(np.log(settings.flatness_ratio))
        nearest = neighbours(gaussians.surface, NEIGHBOURS)
        self.nearest = torch.from_numpy(nearest).to(device)
        self.laplacian = _laplacian_energy(nearest).to(device)
        first = (gaussians.surface.spacing[:, None] * torch.tensor(FLAT).to(device)).log()
        low, high = np.log(SCALE_RANGE)
        self.smallest, self.largest = first + low, first + high

    def __call__(self) -> Tensor:
        w, g = self.weights, self.gaussians
        total = self._usual()
        if w.coverage:
            total = total + w.coverage * self._uncovered()
        if w.flatness:
            total = total + w.flatness * self._flatness()
        if w.surface:
            normals = (g.rotations()[..., 2] * g.surface.normals).sum(1)
            total = total + w.surface * (1 - normals.abs()).mean()
        return total

    def _usual(self) -> Tensor:
        """Margin, size of the offsets, both Laplacians and the sizes' range; compiled on the CPU."""
        w, g = self.weights, self.gaussians
        if g.offsets.device.type == "cpu" and g.offsets.dtype == torch.float32:
            weights = (w.margin, w.laplacian, w.color_laplacian, w.offset, w.scale_bounds)
            bounds, terms = (self.smallest, self.largest), Terms(*weights, self.margin)
            return usual_cost(g.offsets, g.colors, g.log_scales, self.nearest, bounds, terms)
        total = g.offsets.new_zeros(())
        if w.margin:
            total = total + w.margin * (g.offsets.norm(dim=1) - self.margin).clamp_min(0).square().mean()
        if w.laplacian:
            total = total + w.laplacian * self._roughness(g.offsets)
        if w.color_laplacian:
            total = total + w.color_laplacian * self._roughness(g.colors)
        if w.offset:
            total = total + w.offset * g.offsets.square().sum(1).mean()
        if w.scale_bounds:
            beyond = g.log_scales - torch.clamp(g.log_scales.detach(), self.smallest, self.largest)
            total = total + w.scale_bounds * beyond.square().sum(1).mean()
        return total

    def _roughness(self, values: Tensor) -> Tensor:
        """Mean squared distance of a value (N,3) from the mean of its neighbours' values."""
        return cast(Tensor, _QuadraticForm.apply(values, self.laplacian)) / len(values)

    def _uncovered(self) -> Tensor:
        """How far the nearest Gaussian is beyond the margin, over the surface points."""
        places = self.gaussians.surface.template
        centres = places + self.gaussians.offsets
        own = (centres - places)[:, None].norm(dim=-1)
        others = (centres[self.nearest] - places[:, None]).norm(dim=-1)
        return (torch.cat((own, others), 1).amin(1) - self.margin).clamp_min(0).mean()

    def _flatness(self) -> Tensor:
        scales = self.gaussians.log_scales
        return (scales[:, :2].mean(1) - scales[:, 2] - self.log_ratio).abs().mean()


class _QuadraticForm(torch.autograd.Function):
    """sum(x * (A x)) of x (N,3) with a constant symmetric A, whose derivative 2 A x is half done."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, matrix: Tensor) -> Tensor:
        product = matrix @ x
        ctx.save_for_backward(product)
        return (x * product).sum()

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        (product,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return 2 * gradients[0] * product, None


def _laplacian_energy(nearest: np.ndarray) -> Tensor:
    """Sparse L^T L (N,N) of L = identity minus the neighbours' mean, so that o^T L^T L o is the roughness."""
    count, k = nearest.shape
    rows = np.repeat(np.arange(count), k)
    mean = sparse.csr_matrix((np.full(count * k, 1 / k), (rows, nearest.ravel())), shape=(count, count))
    difference = sparse.identity(count) - mean
    energy = (difference.T @ difference).tocsr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch calls its sparse rows "beta" at every first use
        return torch.sparse_csr_tensor(
            torch.from_numpy(energy.indptr.astype(np.int64)),
            torch.from_numpy(energy.indices.astype(np.int64)),
            torch.from_numpy(energy.data.astype(np.float32)),
            size=(count, count),
            check_invariants=False,
        )
