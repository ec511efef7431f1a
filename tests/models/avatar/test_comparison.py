"""The compiled comparison of pictures against its definition in PyTorch."""

import torch
from torch import Tensor

from models.avatar.comparison import Comparison, by_definition, compare
from models.avatar.observations import Crop
from models.rasterizer import Rendering, num_threads, set_num_threads

BACKGROUND = torch.tensor([[0.2, 0.9, 0.5]])


def pictures(height: int, width: int) -> tuple[Rendering, Crop]:
    generator = torch.Generator().manual_seed(0)
    color, alpha = (torch.rand(1, height, width, *rest, generator=generator) for rest in ((3,), ()))
    image, mask = (
        torch.randint(0, 256, (1, height, width, *rest), generator=generator) for rest in ((3,), ())
    )
    crop = Crop(image.to(torch.uint8), mask.to(torch.uint8), torch.eye(3)[None], None, None)
    return Rendering(color.requires_grad_(), alpha.requires_grad_(), alpha), crop


def gradients(compared: Comparison, drawn: Rendering) -> tuple[Tensor, ...]:
    """Of a sum to which the seen picture contributes too."""
    weights = torch.rand(compared.seen.shape, generator=torch.Generator().manual_seed(1))
    parts = (weights.to(compared.seen) * compared.seen).mean()
    total = parts + 0.7 * compared.color + 3 * compared.silhouette
    return torch.autograd.grad(total, (drawn.color, drawn.alpha))


def test_compiled_values_and_gradients_are_the_definition_s() -> None:
    drawn, crop = pictures(33, 50)
    exact = Rendering(*(tensor.detach().double().requires_grad_() for tensor in drawn))
    found, expected = compare(drawn, crop, BACKGROUND), by_definition(exact, crop, BACKGROUND.double())
    assert not found.wanted.requires_grad
    for got, wanted in zip(found, expected, strict=True):
        assert got.dtype == torch.float32
        torch.testing.assert_close(got.double(), wanted, rtol=0, atol=5e-7)
    for got, wanted in zip(gradients(found, drawn), gradients(expected, exact), strict=True):
        assert (got - wanted).norm() < 1e-6 * wanted.norm()


def test_a_perfect_rendering_costs_nothing_and_is_left_alone() -> None:
    _, crop = pictures(20, 30)
    coverage = crop.coverage()
    color = (crop.color() * coverage[..., None]).requires_grad_()
    drawn = Rendering(color, coverage.requires_grad_(), coverage)
    compared = compare(drawn, crop, BACKGROUND)
    assert float(compared.color.detach()) == float(compared.silhouette.detach()) == 0
    (compared.color + compared.silhouette).backward()
    assert color.grad is not None and not color.grad.any()


def test_results_do_not_depend_on_the_threads() -> None:
    (drawn, crop), before, results = pictures(300, 20), num_threads(), []
    try:
        for count in (1, 2, 3):
            set_num_threads(count)
            compared = compare(drawn, crop, BACKGROUND)
            results.append([*compared, *gradients(compared, drawn)])
    finally:
        set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
