import torch

from models.avatar.losses import geman_mcclure, rotation_prior, smoothness


def test_smoothness_forgives_steady_motion_only() -> None:
    steady = torch.arange(10.0)[:, None, None] * torch.tensor([0.1, 0.0, 0.0]).expand(24, 3)
    assert smoothness(steady, 15.0) < 1.1e-3
    shaken = steady + 0.02 * torch.randn(10, 24, 3, generator=torch.Generator().manual_seed(0))
    assert smoothness(shaken, 15.0) > 0.03


def test_smoothness_grows_with_the_acceleration_not_its_square() -> None:
    jump = torch.zeros(5, 24, 3)
    jump[2, :, 0] = 1.0
    ratio = smoothness(10 * jump, 15.0) / smoothness(jump, 15.0)
    torch.testing.assert_close(ratio, torch.tensor(10.0), rtol=1e-2, atol=0)


def test_rotation_prior_levels_off_and_is_stiffer_on_hands() -> None:
    def cost(joint: int, angle: float) -> float:
        turns = torch.zeros(1, 24, 3)
        turns[0, joint, 1] = angle
        return float(rotation_prior(turns))

    assert cost(18, 0.2) > 3 * cost(18, 0.1)
    assert cost(18, 3.0) < 1.1 * cost(18, 1.5)
    assert abs(cost(22, 0.1) / cost(18, 0.1) - 4) < 1e-3


def test_geman_mcclure_is_bounded_and_quadratic_near_zero() -> None:
    values = geman_mcclure(torch.tensor([0.01, 1.0, 1e4]))
    torch.testing.assert_close(values, torch.tensor([1e-4, 0.5, 1.0]), rtol=1e-3, atol=0)


def test_smoothness_of_one_motion_hardly_depends_on_a_low_frame_rate() -> None:
    def cost(fps: float) -> float:
        seconds = torch.arange(0, 4, 1 / fps)
        swing = 0.3 * torch.sin(2 * torch.pi * 0.4 * seconds)
        return float(smoothness(swing[:, None, None].expand(-1, 24, 3), fps))

    assert 0.7 < cost(7.5) / cost(15.0) < 1.4
