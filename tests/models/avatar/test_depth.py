from dataclasses import replace

import numpy as np
import torch

from models.avatar.depth import depth_loss, fit_slope, point_loss
from models.avatar.observations import Crop


def _pairs(slope: float, outliers: float) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(0)
    pairs = []
    for shift in random.uniform(-0.05, 0.05, 12):
        disparity = random.uniform(100, 140, 400)
        inverse = slope * disparity + shift + 0.002 * random.normal(size=400)
        wrong = random.uniform(size=400) < outliers
        pairs.append((disparity, np.where(wrong, random.uniform(0.1, 0.9, 400), inverse)))
    return pairs


def test_slope_is_found_whatever_the_shifts_and_outliers() -> None:
    assert abs(fit_slope(_pairs(0.003, 0.0)) / 0.003 - 1) < 0.01
    assert abs(fit_slope(_pairs(0.003, 0.2)) / 0.003 - 1) < 0.05


def test_slope_of_contradicting_or_empty_maps_is_none() -> None:
    assert fit_slope(_pairs(-0.003, 0.0)) is None
    assert fit_slope([]) is None
    flat = np.full(400, 120.0), np.linspace(0.3, 0.4, 400)
    assert fit_slope([flat]) is None


def _loss(
    rendered: torch.Tensor, alpha: torch.Tensor, crop: Crop, slope: float | None, low: float
) -> torch.Tensor:
    """Of one frame."""
    return depth_loss(rendered[None], alpha[None], crop, slope, low)


def _crop(depth: torch.Tensor) -> Crop:
    depth = depth[None]
    size = depth.shape
    return Crop(
        image=torch.zeros(*size, 3, dtype=torch.uint8),
        mask=torch.full(size, 255, dtype=torch.uint8),
        K=torch.eye(3)[None],
        depth=depth,
        trusted=depth > 0,
    )


def test_relative_loss_ignores_a_common_shift_and_sees_shape() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 60), torch.linspace(-1, 1, 40), indexing="ij")
    truth = 3 + 0.1 * x * y
    crop = _crop((1 / truth + 0.07) / 0.002)
    alpha = torch.ones(60, 40)
    right = _loss(truth, alpha, crop, 0.002, 0.3)
    wrong = _loss(truth + 0.1 * torch.sin(12 * y), alpha, crop, 0.002, 0.3)
    assert right < 1e-6 < 1e-4 < wrong


def test_lean_costs_less_than_the_same_error_at_high_frequency() -> None:
    y = torch.linspace(-1, 1, 60)[:, None].expand(60, 40)
    crop, alpha = _crop(torch.full((60, 40), 1 / 3 / 0.002)), torch.ones(60, 40)
    flat = torch.full((60, 40), 3.0)
    lean = _loss(flat + 0.02 * y, alpha, crop, 0.002, 0.3)
    ripple = _loss(flat + 0.02 * torch.sin(40 * y), alpha, crop, 0.002, 0.3)
    assert lean < 0.5 * ripple


def test_metric_loss_sees_a_shift_and_skips_unknown_pixels() -> None:
    depth = torch.full((60, 40), 3.0)
    depth[:30] = 0
    alpha, crop = torch.ones(60, 40), _crop(depth)
    assert _loss(torch.full((60, 40), 3.0), alpha, crop, None, 1.0) < 1e-9
    assert _loss(torch.full((60, 40), 3.1), alpha, crop, None, 1.0) > 1e-3
    assert _loss(torch.full((60, 40), 3.0), 0 * alpha, crop, None, 1.0) == 0


def _plane(z: float) -> torch.Tensor:
    """Points (N,3) of a plane across the view that K = diag(400, 400, 1) shows around the middle."""
    x, y = torch.meshgrid(torch.linspace(0.02, 0.08, 12), torch.linspace(0.02, 0.13, 12), indexing="ij")
    return torch.stack((x * z, y * z, torch.full_like(x, z)), dim=-1).reshape(-1, 3)


def test_points_pull_what_is_seen_to_the_map_and_leave_what_is_behind() -> None:
    crop = replace(
        _crop((1 / torch.full((60, 40), 3.0) + 0.07) / 0.002),
        K=torch.diag(torch.tensor([400, 400, 1.0]))[None],
    )
    alpha, rendered = torch.ones(1, 60, 40), torch.full((1, 60, 40), 3.0)
    centres = torch.cat((_plane(3.0), _plane(2.97), _plane(3.3)))[None].requires_grad_()
    loss = point_loss(centres, rendered, alpha, crop, 0.002)
    loss.backward()
    on, near, behind = centres.grad[0, :, 2].split(144)
    assert 0.5 * 0.5 * 0.03**2 < loss < 0.7 * 0.03**2
    assert on.abs().max() < 0.1 * near.abs().min() and (near < 0).all() and not behind.any()
    assert point_loss(centres, rendered, 0 * alpha, crop, 0.002) == 0


def test_points_of_metric_maps_know_no_shift() -> None:
    crop = replace(_crop(torch.full((60, 40), 3.2)), K=torch.diag(torch.tensor([400, 400, 1.0]))[None])
    alpha, rendered = torch.ones(1, 60, 40), torch.full((1, 60, 40), 3.0)
    assert point_loss(_plane(3.0)[None], rendered, alpha, crop, None) > 0.005
