import numpy as np
import pytest
from scipy.signal import convolve2d

from models.metrics import agreement, iou, over_white, psnr, ssim, tight_crop
from models.metrics.image import comparable


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


def test_psnr_of_a_known_error() -> None:
    image = np.full((20, 30, 3), 0.5)
    assert psnr(image, image + 0.1) == pytest.approx(20.0)
    assert psnr(image, image) == float("inf")


def test_ssim_agrees_with_its_definition_written_out() -> None:
    a, b = noise(24, 31), 0.6 * noise(24, 31) + 0.4 * noise(24, 31, seed=1)
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2

    def mean(x: np.ndarray) -> np.ndarray:
        return convolve2d(x, window, mode="valid")

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a * a) - mu_a**2, mean(b * b) - mu_b**2, mean(a * b) - mu_a * mu_b
    expected = ((2 * mu_a * mu_b + 1e-4) * (2 * cov + 9e-4)) / (
        (mu_a**2 + mu_b**2 + 1e-4) * (var_a + var_b + 9e-4)
    )
    assert ssim(a, b) == pytest.approx(expected.mean(), abs=1e-12)


def test_ssim_is_one_for_equal_images_and_falls_with_noise() -> None:
    image = noise(40, 40, 3)
    assert ssim(image, image) == pytest.approx(1)
    slightly, much = (ssim(image, image + s * noise(40, 40, 3, seed=1)) for s in (0.1, 0.5))
    assert much < slightly < 1


def test_ssim_averages_over_channels() -> None:
    a, b = noise(20, 20, 3), noise(20, 20, 3, seed=1)
    assert ssim(a, b) == pytest.approx(np.mean([ssim(a[..., c], b[..., c]) for c in range(3)]))


def test_ssim_refuses_an_image_smaller_than_its_window() -> None:
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(np.zeros((10, 40, 3)), np.zeros((10, 40, 3)))


def test_iou_of_soft_silhouettes() -> None:
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[:2], b[1:3] = 1, 0.5
    assert iou(a, b) == pytest.approx((4 * 0.5) / (8 + 4 * 0.5))
    assert iou(a, a) == 1
    assert iou(np.zeros((4, 4)), np.zeros((4, 4))) == 1


def test_tight_crop_is_the_box_with_margin_cut_at_the_edge() -> None:
    alpha = np.zeros((40, 60))
    alpha[3:20, 30:50] = 1
    alpha[0, 0] = 0.4
    rows, columns = tight_crop(alpha)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (0, 25, 25, 55)
    with pytest.raises(ValueError, match="nothing to crop"):
        tight_crop(np.zeros((5, 5)))


def test_over_white_fills_what_alpha_leaves() -> None:
    colour = np.full((2, 2, 3), 0.25)
    assert over_white(colour, np.full((2, 2), 0.5)) == pytest.approx(0.75)


def test_agreement_ignores_the_background_and_weighs_the_crop() -> None:
    mask = np.zeros((60, 60))
    mask[20:40, 20:40] = 1
    image = noise(60, 60, 3)
    perfect = agreement(image, mask, image * mask[..., None], mask)
    assert perfect.psnr == float("inf")
    assert perfect.iou == 1
    grey = agreement(image, mask, 0.5 * np.repeat(mask[..., None], 3, axis=2), mask)
    assert grey.psnr_crop < grey.psnr < float("inf")
    assert grey.psnr_crop == pytest.approx(grey.psnr - 10 * np.log10(60**2 / 30**2))
    assert grey.ssim_crop < grey.ssim


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        psnr(np.zeros((4, 4)), np.zeros((4, 5)))


def test_a_sliver_at_the_edge_is_not_comparable() -> None:
    mask = np.zeros((40, 30))
    assert not comparable(mask)
    mask[5:35, :4] = 1
    assert not comparable(mask)
    with pytest.raises(ValueError, match="at least 11"):
        agreement(np.zeros((40, 30, 3)), mask, np.zeros((40, 30, 3)), mask)
    mask[5:35, :8] = 1
    assert comparable(mask)
