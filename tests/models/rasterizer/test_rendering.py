import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from models.rasterizer import Rendering, embedded, num_threads, render, set_num_threads
from tests.models.rasterizer.scenes import HEIGHT, WIDTH, Scene, intrinsics, random_scene

ENGINES = ("numba", "torch")


@pytest.fixture
def restored_threads():
    before = num_threads()
    yield
    set_num_threads(before)


def rendered_with_gradients(
    scene: Scene, engine: str, dtype: torch.dtype = torch.float32, width: int = WIDTH, height: int = HEIGHT
) -> tuple[Rendering, list[Tensor]]:
    """The pictures and the gradients of a random linear function of all of them."""
    inputs = [tensor.to(dtype).requires_grad_() for tensor in scene]
    pictures = render(*inputs, intrinsics(), width, height, engine)
    generator = torch.Generator().manual_seed(1)
    upstream = [
        torch.randn(picture.shape, generator=generator, dtype=torch.float64).to(dtype) for picture in pictures
    ]
    return pictures, list(torch.autograd.grad(pictures, inputs, upstream))


def assert_agreement(scene: Scene) -> None:
    """The numba engine's pictures and gradients are those of the float64 twin."""
    pictures, gradients = rendered_with_gradients(scene, "numba")
    true_pictures, true_gradients = rendered_with_gradients(scene, "torch", torch.float64)
    for picture, truth in zip(pictures, true_pictures, strict=True):
        torch.testing.assert_close(picture.double(), truth, rtol=0, atol=5e-5)
    for gradient, truth in zip(gradients, true_gradients, strict=True):
        assert (gradient.double() - truth).norm() <= 5e-4 * truth.norm()


def identical(one: tuple[Rendering, list[Tensor]], other: tuple[Rendering, list[Tensor]]) -> bool:
    pairs = zip([*one[0], *one[1]], [*other[0], *other[1]], strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("count", "size"), [(1, 0.1), (60, 0.1), (400, 0.1), (40, 0.5), (300, 0.01), (100, 3.0)]
)
def test_numba_agrees_with_the_float64_twin(count: int, size: float) -> None:
    assert_agreement(random_scene(count, size))


def test_gradient_of_the_twin() -> None:
    scene = [tensor.requires_grad_() for tensor in random_scene(4, 0.3, seed=3)]
    K = intrinsics() * torch.tensor([[0.1], [0.1], [1]])
    assert torch.autograd.gradcheck(lambda *inputs: tuple(render(*inputs, K, 6, 5, "torch")), scene)


def test_pixels_that_saturate() -> None:
    means, covariances, colors, opacities = random_scene(150, 0.5, seed=2)
    pictures, _ = rendered_with_gradients((means, covariances, colors, opacities), "numba")
    assert pictures.alpha.max() > 0.9995, "the scene should finish pixels early"
    assert_agreement((means, covariances, colors, opacities))


def test_gaussians_that_are_fully_opaque() -> None:
    means, covariances, colors, opacities = random_scene(30, 0.2)
    assert_agreement((means, covariances, colors, torch.ones_like(opacities)))


def test_gaussians_outside_the_field_of_view() -> None:
    means, covariances, colors, opacities = random_scene(30, 0.4)
    assert_agreement((means + torch.tensor([2.0, 0.3, 0]), covariances, colors, opacities))


def test_bit_identical_at_any_number_of_threads(restored_threads: None) -> None:
    scene = random_scene(10_000, 0.03)
    results = []
    for threads in (1, 2, 3, 2):
        set_num_threads(threads)
        results.append(rendered_with_gradients(scene, "numba", width=200, height=150))
    assert all(identical(one, other) for one, other in itertools.pairwise(results))


def test_bit_identical_when_worked_on_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = random_scene(200, 2.0)
    whole = rendered_with_gradients(scene, "numba", width=150, height=170)
    monkeypatch.setattr(embedded, "MAX_PAIRS", 1500)
    assert identical(whole, rendered_with_gradients(scene, "numba", width=150, height=170))


def test_renders_at_the_same_time(restored_threads: None) -> None:
    set_num_threads(2)
    scenes = [random_scene(500, seed=seed) for seed in range(6)]
    alone = [rendered_with_gradients(scene, "numba") for scene in scenes]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda scene: rendered_with_gradients(scene, "numba"), scenes))
    assert all(identical(one, other) for one, other in zip(alone, together, strict=True))


def test_several_renders_before_one_backward() -> None:
    scenes = [random_scene(50, seed=seed) for seed in range(3)]
    inputs = [[tensor.float().requires_grad_() for tensor in scene] for scene in scenes]
    colors = [render(*scene, intrinsics(), WIDTH, HEIGHT).color.square().sum() for scene in inputs]
    sum(colors).backward()
    for scene in inputs:
        means = scene[0].detach().requires_grad_()
        render(means, *scene[1:], intrinsics(), WIDTH, HEIGHT).color.square().sum().backward()
        assert torch.equal(means.grad, scene[0].grad)


def test_a_picture_changed_in_place_is_noticed() -> None:
    means, *rest = (tensor.float() for tensor in random_scene(5))
    picture = render(means.requires_grad_(), *rest, intrinsics(), WIDTH, HEIGHT)
    loss = picture.alpha.sum()
    picture.color.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("engine", ENGINES)
def test_no_gaussians(engine: str) -> None:
    scene = tuple(tensor[:0] for tensor in random_scene(1))
    pictures, gradients = rendered_with_gradients(scene, engine)
    assert [tuple(picture.shape) for picture in pictures] == [(45, 61, 3), (45, 61), (45, 61)]
    assert not any(picture.any() for picture in pictures)
    assert [gradient.shape for gradient in gradients] == [tensor.shape for tensor in scene]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("argument", range(4), ids=["means", "covariances", "colors", "opacities"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_skipped(engine: str, argument: int, value: float) -> None:
    scene = random_scene(40)
    damaged = [tensor.clone() for tensor in scene]
    damaged[argument].view(40, -1)[7, -1] = value
    pictures, gradients = rendered_with_gradients(tuple(damaged), engine)
    kept = torch.arange(40) != 7
    expected, expected_gradients = rendered_with_gradients(tuple(t[kept] for t in scene), engine)
    for picture, truth in zip(pictures, expected, strict=True):
        torch.testing.assert_close(picture, truth)
    for gradient, truth in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient[kept], truth, rtol=1e-4, atol=1e-4)
        assert not gradient[7].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_cannot_be_seen_is_skipped(engine: str) -> None:
    means, covariances, colors, opacities = random_scene(6, 0.1)
    means[:, :2] *= 0.3
    opacities[:] = 0.5
    means[0, 2] = -3  # behind the camera
    means[1, 2] = 0.005  # before the near plane
    means[2, 0] = 100  # beside the picture
    covariances[3] = -covariances[3]  # not a covariance
    opacities[4] = 0.003  # below 1/255
    pictures, gradients = rendered_with_gradients((means, covariances, colors, opacities), engine)
    last = tuple(tensor[5:] for tensor in (means, covariances, colors, opacities))
    expected, _ = rendered_with_gradients(last, engine)
    for picture, truth in zip(pictures, expected, strict=True):
        torch.testing.assert_close(picture, truth)
    for gradient in gradients:
        assert not gradient[:5].any()
        assert gradient[5].any()


def test_absurd_sizes() -> None:
    means, covariances, colors, opacities = random_scene(6)
    covariances[0] = 0  # a point: the blur alone is drawn
    covariances[1] = 1e12 * torch.eye(3)
    covariances[2] = 3e37 * torch.eye(3)
    covariances[3] = torch.outer(torch.ones(3), torch.ones(3)).double()  # a needle
    means[4] = torch.tensor([1e30, -1e30, 1e9])
    pictures, gradients = rendered_with_gradients((means, covariances, colors, opacities), "numba")
    assert all(tensor.isfinite().all() for tensor in [*pictures, *gradients])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 32), (33, 7), (32, 64)])
def test_sizes_of_the_picture(engine: str, width: int, height: int) -> None:
    scene = random_scene(50, 0.5)
    pictures, _ = rendered_with_gradients(scene, engine, width=width, height=height)
    truth, _ = rendered_with_gradients(scene, "torch", torch.float64, width, height)
    for picture, true_picture in zip(pictures, truth, strict=True):
        torch.testing.assert_close(picture.double(), true_picture, rtol=0, atol=5e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_pixel_centers_and_depth_of_one_gaussian(engine: str) -> None:
    x, y, z, focal = 17, 9, 2.0, 50.0
    K = torch.tensor([[focal, 0, 16], [0, focal, 12], [0, 0, 1]])
    means = torch.tensor([[(x + 0.5 - 16) * z / focal, (y + 0.5 - 12) * z / focal, z]])
    covariances = 0.06**2 * torch.eye(3)[None]
    color = torch.tensor([[0.2, 0.4, 0.8]])
    picture = render(means, covariances, color, torch.tensor([0.9]), K, 32, 24, engine)
    assert picture.alpha.argmax() == y * 32 + x
    assert picture.alpha[y, x].item() == pytest.approx(0.9, abs=1e-6)
    patch = picture.alpha[y - 4 : y + 5, x - 4 : x + 5]
    torch.testing.assert_close(patch, patch.flip(1), atol=1e-3, rtol=0)  # EWA is not exactly symmetric
    torch.testing.assert_close(patch, patch.flip(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(picture.color, picture.alpha[..., None] * color)
    torch.testing.assert_close(picture.depth, z * (picture.alpha > 0))


@pytest.mark.parametrize("engine", ENGINES)
def test_nearer_gaussians_hide_farther_ones(engine: str) -> None:
    means = torch.tensor([[0.0, 0, 3], [0, 0, 2], [0, 0, 3]])
    covariances = torch.eye(3).expand(3, 3, 3)
    colors = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    opacities = torch.tensor([0.5, 0.5, 0.5])
    K = torch.tensor([[20.0, 0, 8.5], [0, 20, 8.5], [0, 0, 1]])
    picture = render(means, covariances, colors, opacities, K, 17, 17, engine)
    expected = torch.tensor([0.25, 0.5, 0.125])  # of two as far, the first given is in front
    torch.testing.assert_close(picture.color[8, 8], expected)
    assert picture.depth[8, 8].item() == pytest.approx((0.5 * 2 + 0.375 * 3) / 0.875)


@pytest.mark.parametrize("engine", ENGINES)
def test_part_of_a_picture_by_shifting_the_principal_point(engine: str) -> None:
    scene = tuple(tensor.float() for tensor in random_scene(60, 0.05))
    K = intrinsics().float()
    whole = render(*scene, K, WIDTH, HEIGHT, engine)
    shifted = K - torch.tensor([[0.0, 0, 11], [0, 0, 6], [0, 0, 0]])
    part = render(*scene, shifted, 37, 29, engine)
    torch.testing.assert_close(part.color, whole.color[6:35, 11:48], atol=1e-3, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_is_its_frames(engine: str) -> None:
    frames = [tuple(tensor.float() for tensor in random_scene(30, seed=seed)) for seed in range(3)]
    means, covariances, colors, opacities = (torch.stack(tensors) for tensors in zip(*frames, strict=True))
    K = torch.stack([intrinsics().float() * scale for scale in (0.8, 1, 1.2)])
    batch = render(means, covariances, colors, opacities, K, WIDTH, HEIGHT, engine)
    for i, frame in enumerate(frames):
        single = render(*frame, K[i], WIDTH, HEIGHT, engine)
        assert all(torch.equal(one[i], other) for one, other in zip(batch, single, strict=True))
    shared = render(means, covariances, colors[1], opacities[1], K[1], WIDTH, HEIGHT, engine)
    single = render(means[1], covariances[1], colors[1], opacities[1], K[1], WIDTH, HEIGHT, engine)
    assert torch.equal(shared.color[1], single.color)


def test_automatic_engine_and_types_on_the_cpu() -> None:
    scene = random_scene(20)
    inputs = [tensor.clone().requires_grad_() for tensor in scene]
    automatic = render(*inputs, intrinsics(), WIDTH, HEIGHT)
    named = render(*(tensor.float() for tensor in scene), intrinsics(), WIDTH, HEIGHT, "numba")
    assert torch.equal(automatic.color, named.color)
    automatic.color.sum().backward()
    assert all(tensor.grad.dtype == torch.float64 for tensor in inputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "optix"}, "choose one of auto, numba, gsplat, torch"),
        ({"engine": "gsplat"}, "needs tensors on cuda, not on cpu"),
        ({"means": torch.zeros(3)}, "means must be"),
        ({"means": torch.zeros(5, 2)}, "means must be"),
        ({"colors": torch.zeros(5, 4)}, r"colors must be \(5, 3\)"),
        ({"opacities": torch.zeros(5, 1)}, r"opacities must be \(5,\)"),
        ({"covariances": torch.zeros(5, 6)}, r"covariances must be \(5, 3, 3\)"),
        ({"K": torch.zeros(4, 4)}, r"K must be \(3, 3\)"),
        ({"width": 0}, "0 x 4 pixels"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, message: str) -> None:
    means, covariances, colors, opacities = random_scene(5)
    call = dict(means=means, covariances=covariances, colors=colors, opacities=opacities, K=intrinsics())
    with pytest.raises(ValueError, match=message):
        render(**{**call, "width": 4, "height": 4, **change})


def test_number_of_threads(restored_threads: None) -> None:
    set_num_threads(3)
    assert num_threads() == 3
    with pytest.raises(ValueError, match="at least 1"):
        set_num_threads(0)
