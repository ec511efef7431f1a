"""gsplat's engine. Without CUDA, its projection still runs, and how it would be called can be checked."""

import inspect
from typing import Any

import gsplat
import pytest
import torch
from gsplat.cuda._torch_impl import _fully_fused_projection

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


def stand_in(**given: Any) -> tuple[torch.Tensor, torch.Tensor, dict]:
    """gsplat.rasterization's shapes and conventions as its source has them, drawn by the twin."""
    means, viewmats = given["means"], given["viewmats"]
    batch, count = means.shape[:-2], means.shape[-2]
    assert given["covars"].shape == (*batch, count, 3, 3)
    assert torch.equal(given["covars"], given["covars"].mT)
    assert given["colors"].shape == (*batch, count, 3)
    assert given["opacities"].shape == (*batch, count)
    assert viewmats.shape == (*batch, 1, 4, 4)
    assert torch.equal(viewmats, torch.eye(4).expand_as(viewmats))
    assert given["Ks"].shape == (*batch, 1, 3, 3)
    assert given["render_mode"] == "RGB+ED"
    assert all(
        given[name].dtype == torch.float32 for name in ("means", "covars", "colors", "opacities", "Ks")
    )
    frames = zip(
        means.reshape(-1, count, 3),
        given["covars"].reshape(-1, count, 3, 3),
        given["colors"].reshape(-1, count, 3),
        given["opacities"].reshape(-1, count),
        given["Ks"].reshape(-1, 3, 3),
        strict=True,
    )
    color, alpha, depth = zip(
        *(dense.render(*frame, given["width"], given["height"]) for frame in frames), strict=True
    )
    size = (*batch, 1, given["height"], given["width"])
    pictures = torch.cat([torch.stack(color), torch.stack(depth)[..., None]], -1)
    return pictures.reshape(*size, 4), torch.stack(alpha).reshape(*size, 1), {}


@pytest.mark.parametrize("batch", [(), (1,), (3,)])
def test_what_gsplat_is_called_with(batch: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    signature = inspect.signature(gsplat.rasterization)
    assert signature.parameters["eps2d"].default == dense.BLUR
    assert signature.parameters["near_plane"].default == dense.NEAR
    assert signature.parameters["far_plane"].default == dense.FAR
    assert signature.parameters["rasterize_mode"].default == "classic"
    monkeypatch.setattr(
        gsplat, "rasterization", lambda *args, **named: stand_in(**signature.bind(*args, **named).arguments)
    )
    means, covariances, colors, opacities = (
        tensor.float().expand(*batch, *tensor.shape).clone() for tensor in random_scene(20)
    )
    K = intrinsics().expand(*batch, 3, 3)
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
    scene = [tensor.expand(*batch, *tensor.shape) for tensor in random_scene(200)]
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
