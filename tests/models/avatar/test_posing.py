"""The compiled posing of Gaussians against its definition in PyTorch, in double precision."""

import pytest
import torch
from torch import Tensor

from models.avatar.posing import covariances, pose_ellipsoids, pose_gaussians
from models.avatar.posing_kernels import CHUNK
from models.avatar.surface import spread
from models.body import BodyModel
from models.body.rotations import axis_angle_to_matrix, quaternion_to_matrix
from models.body.skinning import blend
from models.rasterizer import num_threads, set_num_threads

Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def scene(body: BodyModel, count: int, bend: float = 0.5, seed: int = 0) -> Inputs:
    """Double-precision arguments: the body with joints turned by about `bend` radians, without points whose
    blended matrix is nearly singular or a reflection, for there the derivative has no bounds."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    surface = spread(body, count, seed=seed)
    poses, trans = bend * normal(1, 72), torch.tensor([[0.1, 0.2, 3.0]], dtype=torch.float64)
    double = body.to(dtype=torch.float64)
    transforms = double.articulate(poses, trans, torch.zeros(10, dtype=torch.float64))[0][0]
    means = surface.template.double() + 0.01 * normal(count, 3)
    scales = surface.spacing.double().log()[:, None] + 0.3 * normal(count, 3)
    weights, quaternions = surface.weights.double(), normal(count, 4)
    sound = torch.linalg.det(blend(weights, transforms[None])[0, ..., :3]) > 0.1
    return means[sound], quaternions[sound], scales[sound], weights[sound], transforms


def by_definition(inputs: Inputs) -> tuple[Tensor, Tensor]:
    means, quaternions, log_scales, weights, transforms = inputs
    posed, axes = pose_gaussians(means, quaternion_to_matrix(quaternions), weights, transforms)
    return posed, covariances(axes, log_scales.exp())


def single(inputs: Inputs) -> Inputs:
    means, quaternions, log_scales, weights, transforms = (a.detach().float() for a in inputs)
    return means, quaternions, log_scales, weights, transforms


def gradients(outputs: tuple[Tensor, Tensor], inputs: Inputs, seed: int = 1) -> list[Tensor]:
    """Of a random weighted sum of the outputs, whose covariances count about as much as their means."""
    generator = torch.Generator().manual_seed(seed)
    toward = [torch.randn(o.shape, generator=generator, dtype=torch.float64) for o in outputs]
    loss = (outputs[0] * toward[0].to(outputs[0])).sum() + 1e3 * (outputs[1] * toward[1].to(outputs[1])).sum()
    return list(torch.autograd.grad(loss, [a for i, a in enumerate(inputs) if i != 3]))


def with_gradient(inputs: Inputs) -> Inputs:
    for i, tensor in enumerate(inputs):
        tensor.requires_grad_(i != 3)
    return inputs


@pytest.mark.parametrize(("count", "bend"), [(1, 0.5), (37, 0.5), (1500, 0.3), (1500, 1.2)])
def test_compiled_values_and_gradients_are_the_definition_s(body: BodyModel, count: int, bend: float) -> None:
    inputs = with_gradient(scene(body, count, bend))
    expected = by_definition(inputs)
    given = with_gradient(single(inputs))
    found = pose_ellipsoids(*given)
    assert found[0].dtype == found[1].dtype == torch.float32
    torch.testing.assert_close(found[0].double(), expected[0], rtol=0, atol=3e-6)
    assert (found[1] - expected[1]).norm() < 2e-6 * expected[1].norm()
    for got, wanted in zip(gradients(found, given), gradients(expected, inputs), strict=True):
        assert (got - wanted).norm() < 2e-5 * wanted.norm()


def test_compiled_gradient_is_the_slope_of_the_definition(body: BodyModel) -> None:
    inputs = scene(body, 64)
    generator = torch.Generator().manual_seed(5)
    toward = [torch.randn(o.shape, generator=generator, dtype=torch.float64) for o in by_definition(inputs)]

    def loss(outputs: tuple[Tensor, Tensor]) -> Tensor:
        return sum((o * t.to(o)).sum() for o, t in zip(outputs, toward, strict=True))  # type: ignore[return-value]

    given = with_gradient(single(inputs))
    loss(pose_ellipsoids(*given)).backward()
    for i in (0, 1, 2, 4):
        direction = torch.randn(inputs[i].shape, generator=generator, dtype=torch.float64)
        values = []
        for sign in (1, -1):
            moved = list(inputs)
            moved[i] = inputs[i] + sign * 1e-5 * direction
            values.append(loss(by_definition((moved[0], moved[1], moved[2], moved[3], moved[4]))))
        slope = float(values[0] - values[1]) / 2e-5
        gradient = given[i].grad
        assert gradient is not None
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_hopeless_matrices_and_zero_quaternions_stay_finite() -> None:
    """Half of two joints that are half a turn apart blend to a singular matrix, others to a reflection."""
    turns = torch.tensor([[0.0, 0, 0], [0, 0, torch.pi]])
    transforms = torch.eye(4).repeat(24, 1, 1)
    transforms[:2, :3, :3] = axis_angle_to_matrix(turns)
    transforms[2, 2, 2] = -1
    transforms[3] = 0
    weights = torch.zeros(20, 24)
    weights[:5, :2] = 0.5
    weights[5:10, 2] = 1
    weights[10:15, 3] = 1
    weights[15:, 0] = 1
    quaternions = torch.ones(20, 4)
    quaternions[::5] = 0
    given = with_gradient((torch.ones(20, 3), quaternions, torch.full((20, 3), -3.0), weights, transforms))
    means, shapes = pose_ellipsoids(*given)
    assert means.isfinite().all() and shapes.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients((means, shapes), given))
    torch.testing.assert_close(shapes[16:20], (torch.eye(3) * torch.tensor(-6.0).exp()).expand(4, 3, 3))


def test_results_do_not_depend_on_the_threads(body: BodyModel) -> None:
    given, before, results = with_gradient(single(scene(body, 40 * CHUNK + 5))), num_threads(), []
    try:
        for count in (1, 2, 3):
            set_num_threads(count)
            outputs = pose_ellipsoids(*given)
            results.append([*outputs, *gradients(outputs, given)])
    finally:
        set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_double_precision_and_learned_weights_take_the_definition(body: BodyModel) -> None:
    inputs = scene(body, 20)
    torch.testing.assert_close(pose_ellipsoids(*inputs), by_definition(inputs), rtol=0, atol=0)
    weights = inputs[3].float().requires_grad_()
    means, quaternions, log_scales, _, transforms = single(inputs)
    pose_ellipsoids(means, quaternions, log_scales, weights, transforms)[0].sum().backward()
    assert weights.grad is not None and weights.grad.norm() > 0
