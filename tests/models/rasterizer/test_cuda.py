"""gsplat's engine. Without CUDA, its projection still runs, and how it would be called can be checked."""

import inspect
import math
from typing import Any

import gsplat
import pytest
import torch
from gsplat.cuda._torch_impl import _fully_fused_projection
from torch import Tensor

from models.rasterizer import cuda, dense, render
from tests.models.rasterizer.scenes import HEIGHT, WIDTH, intrinsics, random_scene


def test_the_twin_projects_as_gsplat_does() -> None:
    means, covariances, _, _ = random_scene(200, 0.3)
    means[:50, 0] += 3  # outside the field of view, where the Jacobian is clamped
    K = intrinsics()
    centers, conics, seen = dense.project(means, covariances, K, WIDTH, HEIGHT)
    _, their_centers, depths, their_conics, _ = _fully_fused_projection(
        means, covariances, torch.eye(4).double()[None], K[None], WIDTH, HEIGHT
    )
    assert seen.all()
    torch.testing.assert_close(centers, their_centers[0])
    torch.testing.assert_close(conics, their_conics[0])
    torch.testing.assert_close(means[:, 2], depths[0])


class StandIn:
    """The functions of gsplat that are used, with its shapes and conventions as its source has them.

    Projection is gsplat's own for the CPU; tiles are not made up but checked for; blending is the twin's.
    """

    def __init__(self) -> None:
        self.frames: tuple[int, ...] = ()

    def fully_fused_projection(self, **given: Any) -> tuple[Tensor | None, ...]:
        means, upper, viewmats = given["means"], given["covars"], given["viewmats"]
        self.frames, self.count = means.shape[:-2], means.shape[-2]
        assert upper.shape == (*self.frames, self.count, 6)
        assert viewmats.shape == (*self.frames, 1, 4, 4)
        assert torch.equal(viewmats, torch.eye(4).expand_as(viewmats))
        assert given["Ks"].shape == (*self.frames, 1, 3, 3)
        assert given["opacities"].shape == (*self.frames, self.count)
        assert given["quats"] is given["scales"] is None and not given["packed"]
        full = upper[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].unflatten(-1, (3, 3))  # as its kernel reads the six
        size = given["width"], given["height"]
        radii, *projected = _fully_fused_projection(means, full, viewmats, given["Ks"], *size)
        return radii * (given["opacities"] >= dense.MIN_ALPHA)[..., None, :, None], *projected

    def isect_tiles(self, **given: Any) -> tuple[None, Tensor, Tensor]:
        images = (*self.frames, 1, self.count)
        assert given["means2d"].shape == given["radii"].shape == (*images, 2)
        assert given["depths"].shape == images
        assert (given["tile_size"], given["tile_width"], given["tile_height"]) == (16, 4, 3)  # 61 x 45 pixels
        self.depths, self.radii = given["depths"].detach(), given["radii"]
        return None, torch.arange(7), torch.arange(7)

    def isect_offset_encode(self, **given: Any) -> Tensor:
        assert given["n_images"] == math.prod(self.frames)
        return torch.zeros(given["n_images"], given["tile_height"], given["tile_width"])

    def rasterize_to_pixels(self, **given: Any) -> tuple[Tensor, Tensor]:
        images = (*self.frames, 1, self.count)
        width, height = given["image_width"], given["image_height"]
        assert given["isect_offsets"].shape == (*self.frames, 1, 3, 4)
        names = {"means2d": (2,), "conics": (3,), "colors": (4,), "opacities": ()}
        for name, shape in names.items():
            assert given[name].shape == (*images, *shape) and given[name].dtype == torch.float32
        x, y = torch.arange(width) + 0.5, torch.arange(height) + 0.5
        pictures, alphas = [], []
        flat = [given[name].reshape(-1, self.count, *shape) for name, shape in names.items()]
        flat += [a.reshape(-1, self.count) for a in (self.depths, self.radii.amin(-1))]
        for center, conic, color, opacity, depth, radius in zip(*flat, strict=True):
            order = depth.argsort()
            order = order[radius[order] > 0]
            dx, dy = x - center[order, None, 0:1], y[:, None] - center[order, None, 1:2]
            a, b, c = conic[order, :, None, None].unbind(1)
            power = a * dx**2 / 2 + b * dx * dy + c * dy**2 / 2
            alpha = (opacity[order, None, None] * torch.exp(-power)).clamp(max=dense.MAX_ALPHA)
            alpha = alpha * (alpha >= dense.MIN_ALPHA)
            after = torch.cumprod(1 - alpha, 0)
            weights = alpha * torch.cat([torch.ones_like(after[:1]), after[:-1]])
            weights = weights * (after > dense.MIN_TRANSMITTANCE)
            pictures.append(torch.einsum("nhw,nc->hwc", weights, color[order]))
            alphas.append(weights.sum(0)[..., None])
        size = (*self.frames, 1, height, width)
        return torch.stack(pictures).reshape(*size, 4), torch.stack(alphas).reshape(*size, 1)


@pytest.fixture
def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """gsplat's functions by their stand-ins, called as their true signatures allow."""
    stand_in = StandIn()
    for name in ("fully_fused_projection", "isect_tiles", "isect_offset_encode", "rasterize_to_pixels"):
        signature = inspect.signature(getattr(gsplat, name))

        def called(
            *args: Any, _signature: inspect.Signature = signature, _name: str = name, **named: Any
        ) -> Any:
            bound = _signature.bind(*args, **named)
            bound.apply_defaults()
            return getattr(stand_in, _name)(**bound.arguments)

        monkeypatch.setattr(gsplat, name, called)


def test_gsplat_s_defaults_are_the_definition_s() -> None:
    for function in (gsplat.fully_fused_projection, gsplat.rasterization):
        parameters = inspect.signature(function).parameters
        assert parameters["eps2d"].default == dense.BLUR
        assert parameters["near_plane"].default == dense.NEAR
        assert parameters["far_plane"].default == dense.FAR
    assert inspect.signature(gsplat.rasterization).parameters["tile_size"].default == cuda.TILE


@pytest.mark.parametrize("batch", [(), (1,), (3,)])
def test_what_gsplat_is_called_with(batch: tuple[int, ...], without_cuda: None) -> None:
    means, covariances, colors, opacities = (
        tensor.float().expand(*batch, *tensor.shape).clone() for tensor in random_scene(20)
    )
    K = intrinsics().expand(*batch, 3, 3)
    if batch:  # frames that differ, so that mixing them up is seen
        means = means + 0.1 * torch.arange(batch[0])[:, None, None]
    means[..., 3, 2] = float("nan")
    inputs = [tensor.requires_grad_() for tensor in (means, covariances, colors, opacities)]
    color, alpha, depth = cuda.render(*inputs, K, WIDTH, HEIGHT)
    expected = render(*inputs, K, WIDTH, HEIGHT, "torch")
    for picture, truth in zip((color, alpha, depth), expected, strict=True):
        torch.testing.assert_close(picture, truth)
    for gradient in torch.autograd.grad(color.sum() + alpha.sum() + depth.sum(), inputs):
        assert gradient.isfinite().all()
        assert not gradient.select(len(batch), 3).any()


@pytest.mark.parametrize("batch", [(), (2,)])
def test_no_gaussians_without_calling_gsplat(batch: tuple[int, ...]) -> None:
    means = torch.zeros(*batch, 0, 3, requires_grad=True)
    empty = (torch.zeros(*batch, 0, 3, 3), torch.zeros(*batch, 0, 3), torch.zeros(*batch, 0))
    color, alpha, depth = cuda.render(means, *empty, intrinsics(), 8, 6)
    assert (color.shape, alpha.shape, depth.shape) == ((*batch, 6, 8, 3), (*batch, 6, 8), (*batch, 6, 8))
    (color.sum() + depth.sum()).backward()
    assert not color.any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("batch", [(), (3,)])
def test_gsplat_agrees_with_the_twin(batch: tuple[int, ...]) -> None:
    """Pictures within .001, gradients within 1 % of their norm: gsplat's exp is a fast one."""
    scene = [tensor.expand(*batch, *tensor.shape) for tensor in random_scene(200)]
    if batch:
        scene[0] = scene[0] + 0.1 * torch.arange(batch[0])[:, None, None]
    K = intrinsics()
    ours = [tensor.float().cuda().requires_grad_() for tensor in scene]
    truths = [tensor.clone().requires_grad_() for tensor in scene]
    pictures = render(*ours, K.cuda(), WIDTH, HEIGHT)
    expected = render(*truths, K, WIDTH, HEIGHT, "torch")
    for picture, truth in zip(pictures, expected, strict=True):
        torch.testing.assert_close(picture.double().cpu(), truth, atol=1e-3, rtol=0)
    upstream = [torch.randn_like(picture) for picture in expected]
    gradients = torch.autograd.grad(pictures, ours, [tensor.float().cuda() for tensor in upstream])
    true_gradients = torch.autograd.grad(expected, truths, upstream)
    for gradient, truth in zip(gradients, true_gradients, strict=True):
        assert (gradient.double().cpu() - truth).norm() < 1e-2 * truth.norm()
