"""The losses that are not about the Gaussians alone: robust distances and what is plausible of a motion."""

import torch
from torch import Tensor

from models.avatar import motion_kernels
from models.avatar.trajectory import BodyPose
from models.placement import placed

ACCELERATION_FLOOR = 1e-6  # m^2: below a millimetre the robust smoothness is quadratic
REFERENCE_FPS = 15.0  # the frame rate that the smoothness was tuned at
LARGE_TURN = 0.16  # rad^2: turns beyond 0.4 rad are taken for real and cost no more
NEAREST = 0.1  # metres; nothing is projected from nearer
STIFFNESS = torch.ones(24).index_fill(0, torch.tensor([3, 6, 9, 13, 14]), 3.0)
STIFFNESS = STIFFNESS.index_fill(0, torch.tensor([10, 11, 22, 23]), 4.0)


def smoothness(joints: Tensor, fps: float) -> Tensor:
    """Robust size of the accelerations of joints (...,T,J,3), T >= 3, their mean.

    sqrt(a^2 + floor) of the second differences a in metres: a squared one flattens fast motion. The second
    difference of one and the same motion falls with the square of the frame rate, that of noise does not
    fall. Above 15 frames a second a is scaled by the rate, half way between the two; below, where motion
    outweighs noise, by its square.
    """
    after, here, before = joints[..., 2:, :, :], joints[..., 1:-1, :, :], joints[..., :-2, :, :]
    second = (after - 2 * here + before) * _rate(fps)
    return (second.square().sum(-1) + ACCELERATION_FLOOR).sqrt().mean()


def _rate(fps: float) -> float:
    """The factor on second differences; see `smoothness`."""
    rate = fps / REFERENCE_FPS
    return rate * min(rate, 1.0)


def rotation_prior(turns: Tensor) -> Tensor:
    """Robust cost of turns (...,24,3) away from the initial pose: t^2 / (1 + t^2 / .16), sum over joints.

    Spine and collars three times, hands and feet four times as stiff: images say little about them.
    """
    squared = turns.square().sum(-1)
    stiffness = placed(STIFFNESS, turns.device, turns.dtype)
    return (stiffness * squared / (1 + squared / LARGE_TURN)).sum(-1).mean()


def geman_mcclure(residual: Tensor) -> Tensor:
    """r^2 / (1 + r^2): quadratic near 0, constant far out (Geman and McClure 1985)."""
    squared = residual.square()
    return squared / (1 + squared)


def project(points: Tensor, K: Tensor) -> Tensor:
    """Pixels (...,2) of camera-space points (...,3) by intrinsics K (3,3)."""
    image = points @ K.T
    return image[..., :2] / image[..., 2:].clamp_min(NEAREST)


def over(color: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
    """Premultiplied pictures (...,h,w,3) with alpha (...,h,w) over one background colour (...,3) each."""
    return color + (1 - alpha)[..., None] * background[..., None, None, :]


def plausibility(body: BodyPose, fps: float, smooth: float, prior: float) -> Tensor:
    """Smoothness and rotation prior, weighted, of consecutive frames (T,), or their mean over runs (B,T).

    Compiled where `motion_kernels` fits.
    """
    if motion_kernels.fits(body.turns, body.joints):
        numbers = (_rate(fps), smooth, prior, LARGE_TURN, ACCELERATION_FLOOR)
        turns, joints = (a.reshape(-1, *a.shape[-3:]) for a in (body.turns, body.joints))
        runs = zip(turns, joints, strict=True)
        values = [motion_kernels.plausibility(*run, STIFFNESS, numbers) for run in runs]
        return sum(values[1:], values[0]) / len(values)
    total = prior * rotation_prior(body.turns)
    if smooth and body.joints.shape[-3] >= 3:
        total = total + smooth * smoothness(body.joints, fps)
    return total
