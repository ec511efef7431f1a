"""The compiled kinematics and plausibility against their definitions in PyTorch, in double precision."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from models.avatar.losses import plausibility
from models.avatar.trajectory import BodyPose, articulated
from models.body import PARENTS, BodyModel
from models.body.rotations import axis_angle_to_matrix


def motion(body: BodyModel, frames: int, turn: float) -> list[Tensor]:
    """Arguments of `articulated` in double precision: start, turns, direction, distance, rest."""
    generator = torch.Generator().manual_seed(frames)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    turns = turn * normal(frames, 24, 3)
    turns[:, 5] = 0  # as all are at first
    return [
        axis_angle_to_matrix(normal(frames, 24, 3)),
        turns,
        0.2 * normal(frames, 2),
        1 + 0.2 * normal(frames, 1),
        body.joint_template.double() + 0.02 * normal(24, 3),
    ]


def single(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.detach().float() for tensor in tensors]


def weighted(outputs: Sequence[Tensor]) -> Tensor:
    """A random sum of the outputs."""
    generator = torch.Generator().manual_seed(2)
    total = torch.zeros((), dtype=torch.float64)
    for output in outputs:
        total = total + (output * torch.randn(output.shape, generator=generator).to(output)).sum()
    return total


def assert_same_gradients(found: Tensor, given: list[Tensor], expected: Tensor, inputs: list[Tensor]) -> None:
    got = torch.autograd.grad(found, given)
    for gradient, wanted in zip(got, torch.autograd.grad(expected, inputs), strict=True):
        assert gradient.dtype == torch.float32
        assert (gradient - wanted).norm() < 3e-6 * wanted.norm() + 1e-12


@pytest.mark.parametrize(("frames", "turn"), [(1, 0.5), (3, 0.5), (3, 1e-5), (40, 2.0)])
def test_compiled_kinematics(body: BodyModel, frames: int, turn: float) -> None:
    inputs = motion(body, frames, turn)
    inputs[0] = inputs[0].float().double()
    given = single(inputs)
    for tensor in (*inputs[1:], *given[1:]):
        tensor.requires_grad_()
    expected = articulated(inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], PARENTS)
    found = articulated(given[0], given[1], given[2], given[3], given[4], PARENTS)
    for output, wanted in zip(found, expected, strict=True):
        assert output.dtype == torch.float32
        torch.testing.assert_close(output.double(), wanted, rtol=0, atol=5e-6)
    assert_same_gradients(weighted(found), given[1:], weighted(expected), inputs[1:])


def test_definition_of_kinematics_differentiates(body: BodyModel) -> None:
    start, *others = motion(body, 1, 0.5)
    for tensor in others:
        tensor.requires_grad_()

    def outputs(*arguments: Tensor) -> tuple[Tensor, ...]:
        turns, direction, distance, rest = arguments
        return articulated(start, turns, direction, distance, rest, PARENTS)

    assert torch.autograd.gradcheck(outputs, others, fast_mode=True)


@pytest.mark.parametrize(
    ("frames", "fps", "smooth"), [(3, 10.0, 0.4), (3, 60.0, 0.4), (2, 15.0, 0.4), (9, 15.0, 0.0)]
)
def test_compiled_plausibility(body: BodyModel, frames: int, fps: float, smooth: float) -> None:
    start, turns, direction, distance, rest = motion(body, frames, 0.4)
    joints = articulated(start, turns, direction, distance, rest, PARENTS)[2]
    inputs = [turns.float().double().requires_grad_(), joints.float().double().requires_grad_()]
    given = [tensor.requires_grad_() for tensor in single(inputs)]

    def cost(turns: Tensor, joints: Tensor) -> Tensor:
        pose = BodyPose(torch.empty(0), torch.empty(0), joints, turns, torch.empty(0))
        return plausibility(pose, fps, smooth, 0.3) + 0 * joints.sum()

    expected, found = cost(*inputs), cost(*given)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    assert_same_gradients(found, given, expected, inputs)
