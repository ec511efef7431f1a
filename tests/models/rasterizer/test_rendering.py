import itertools

import pytest
import torch
from torch import Tensor

from models.rasterizer import Rendering, num_threads, render, set_num_threads
from tests.models.rasterizer.scenes import HEIGHT, WIDTH, intrinsics, random_scene

Scene = tuple[Tensor, ...]


def rendered_with_gradients(
    scene: Scene, engine: str, dtype: torch.dtype = torch.float32, width: int = WIDTH, height: int = HEIGHT
) -> tuple[Rendering, list[Tensor]]:
    """The pictures and the gradients of a random linear function of all of them."""
    inputs = [tensor.to(dtype).requires_grad_() for tensor in scene]
    pictures = render(*inputs, intrinsics(), width, height, engine)
    generator = torch.Generator().manual_seed(1)
    loss = sum(
        (torch.randn(picture.shape, generator=generator, dtype=torch.float64).to(dtype) * picture).sum()
        for picture in pictures
    )
    return pictures, list(torch.autograd.grad(loss, inputs))


def relative_error(value: Tensor, truth: Tensor) -> float:
    return float((value.double() - truth).norm() / truth.norm())


@pytest.mark.parametrize(("count", "size"), [(1, 0.1), (60, 0.1), (400, 0.1), (40, 0.5), (300, 0.01)])
def test_numba_agrees_with_the_float64_twin(count: int, size: float) -> None:
    scene = random_scene(count, size)
    pictures, gradients = rendered_with_gradients(scene, "numba")
    true_pictures, true_gradients = rendered_with_gradients(scene, "torch", torch.float64)
    for picture, truth in zip(pictures, true_pictures, strict=True):
        torch.testing.assert_close(picture.double(), truth, rtol=0, atol=5e-5)
    for gradient, truth in zip(gradients, true_gradients, strict=True):
        assert relative_error(gradient, truth) < 5e-4


def test_gradient_of_the_twin() -> None:
    scene = [tensor.requires_grad_() for tensor in random_scene(4, 0.3, seed=3)]
    K = intrinsics() * torch.tensor([[0.1], [0.1], [1]])
    assert torch.autograd.gradcheck(lambda *inputs: tuple(render(*inputs, K, 6, 5, "torch")), scene)


def test_bit_identical_at_any_number_of_threads() -> None:
    scene = random_scene(2000, 0.05)
    before = num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 2):
            set_num_threads(threads)
            pictures, gradients = rendered_with_gradients(scene, "numba", width=200, height=150)
            results.append([*pictures, *gradients])
    finally:
        set_num_threads(before)
    for one, other in itertools.pairwise(results):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
