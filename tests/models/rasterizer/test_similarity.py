import pytest
import torch

from models.rasterizer import num_threads, set_num_threads, ssim


def pictures(height: int, width: int, channels: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(height, width, channels, generator=generator, dtype=torch.float64)
    noise = torch.randn(height, width, channels, generator=generator, dtype=torch.float64)
    return (target + 0.2 * noise).clamp(0, 1), target


def ssim_by_definition(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Wang et al. 2004, equation 13, pixel by pixel in float64, zeros around the pictures."""
    weights = torch.exp(-(torch.arange(-5, 6).double() ** 2) / (2 * 1.5**2))
    window = torch.outer(weights, weights)[..., None]
    window = window / window.sum()
    padded = [torch.nn.functional.pad(picture, (0, 0, 5, 5, 5, 5)) for picture in (image, target)]
    values = []
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            a, b = (picture[y : y + 11, x : x + 11] for picture in padded)
            mean_a, mean_b = (window * a).sum((0, 1)), (window * b).sum((0, 1))
            var_a, var_b = (window * a * a).sum((0, 1)) - mean_a**2, (window * b * b).sum((0, 1)) - mean_b**2
            covariance = (window * a * b).sum((0, 1)) - mean_a * mean_b
            luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
            values.append(luminance * (2 * covariance + 9e-4) / (var_a + var_b + 9e-4))
    return torch.stack(values).mean()


def value_and_gradient(image: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    image = image.clone().requires_grad_()
    value = ssim(image, target)
    (gradient,) = torch.autograd.grad(3 * value, image)
    return value.detach(), gradient / 3


@pytest.mark.parametrize("shape", [(13, 17, 3), (3, 6, 3), (1, 40, 1), (24, 16, 2)])
def test_compiled_value_and_gradient(shape: tuple[int, int, int]) -> None:
    image, target = pictures(*shape)
    truth = image.clone().requires_grad_()
    expected = ssim_by_definition(truth, target)
    (expected_gradient,) = torch.autograd.grad(expected, truth)
    value, gradient = value_and_gradient(image.float(), target.float())
    assert type(value.item()) is float
    torch.testing.assert_close(value.double(), expected.detach(), rtol=0, atol=1e-6)
    assert (gradient.double() - expected_gradient).norm() < 1e-5 * expected_gradient.norm()


def test_convolution_is_the_definition_and_differentiates() -> None:
    image, target = pictures(9, 8)
    torch.testing.assert_close(ssim(image, target), ssim_by_definition(image, target))
    inputs = (image.requires_grad_(), target.requires_grad_())
    assert torch.autograd.gradcheck(ssim, inputs)


def test_compiled_and_convolution_agree_on_a_large_picture() -> None:
    image, target = pictures(130, 75)
    truth = image.clone().requires_grad_()
    expected = ssim(truth, target)  # float64: by convolution
    (expected_gradient,) = torch.autograd.grad(expected, truth)
    # Rows and columns that lie apart in memory, as in a cropped picture.
    image, target = (
        torch.nn.functional.pad(p.float(), (0, 0, 2, 3, 1, 4))[1:-4, 2:-3] for p in (image, target)
    )
    value, gradient = value_and_gradient(image, target)
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    assert (gradient.double() - expected_gradient).norm() < 1e-5 * expected_gradient.norm()


def test_equal_pictures_and_pictures_too_small_for_the_compiled_code() -> None:
    image, target = (picture.float() for picture in pictures(4, 5))
    assert ssim(target, target).item() == pytest.approx(1, abs=1e-6)
    expected = ssim_by_definition(image.double(), target.double())
    assert ssim(image, target).item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["compiled", "convolution"])
def test_a_batch_of_different_sizes_is_the_mean_of_its_pairs(dtype: torch.dtype) -> None:
    """What lies beyond a picture's own size changes nothing and gets no gradient."""
    sizes = [(20, 30), (25, 17), (24, 16)]
    pairs = [pictures(*size, seed=seed) for seed, size in enumerate(sizes)]
    expected = torch.stack([ssim(*pair) for pair in pairs]).mean()
    images, targets = torch.full((2, 3, 25, 30, 3), 0.7, dtype=dtype)
    for image, target, (height, width), pair in zip(images, targets, sizes, pairs, strict=True):
        image[:height, :width], target[:height, :width] = pair
    value = ssim(images.requires_grad_(), targets, sizes)
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    (gradient,) = torch.autograd.grad(value, images)
    for index, ((height, width), (image, target)) in enumerate(zip(sizes, pairs, strict=True)):
        single = image.requires_grad_()
        (truth,) = torch.autograd.grad(ssim(single, target) / 3, single)
        assert (gradient[index, :height, :width] - truth).norm() < 1e-5 * truth.norm()
        assert not gradient[index, height:].any() and not gradient[index, :, width:].any()


def test_bit_identical_at_any_number_of_threads() -> None:
    image, target = (picture.float() for picture in pictures(150, 90))
    before, results = num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            results.append(value_and_gradient(image, target))
    finally:
        set_num_threads(before)
    for value, gradient in results[1:]:
        assert torch.equal(value, results[0][0])
        assert torch.equal(gradient, results[0][1])


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 2), (0, 5, 3)])
def test_what_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two pictures"):
        ssim(torch.zeros(shape), torch.zeros(shape if len(shape) == 2 or not shape[0] else (4, 5, 3)))
