"""Forward kinematics and skinning: against the textbook's loop, by invariances, and their derivatives."""

import math

import torch
from torch import Tensor
from torch.autograd import gradcheck

from models.body import PARENTS, rotations, skinning

GENERATOR_SEED = 3


def random_pose(batch: int = 3, points: int = 11) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rotations (B, 24, 3, 3), joints (24, 3), points (V, 3) and weights (V, 24)."""
    generator = torch.Generator().manual_seed(GENERATOR_SEED)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    weights = normal(points, 24).abs() ** 4
    return (
        rotations.axis_angle_to_matrix(normal(batch, 24, 3)),
        normal(24, 3),
        normal(points, 3),
        weights / weights.sum(1, keepdim=True),
    )


def textbook_transforms(rotation: Tensor, joints: Tensor) -> tuple[Tensor, Tensor]:
    """One pose's transforms, joint by joint, as in SMPL's paper."""
    world: list[Tensor] = []
    for joint, parent in enumerate(PARENTS):
        local = torch.eye(4, dtype=joints.dtype)
        local[:3, :3] = rotation[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    posed = torch.stack([transform[:3, 3] for transform in world])
    relative = []
    for transform, joint_position in zip(world, joints, strict=True):
        back = torch.eye(4, dtype=joints.dtype)
        back[:3, 3] = -joint_position
        relative.append(transform @ back)
    return torch.stack(relative), posed


def test_forward_kinematics_agrees_with_the_textbook() -> None:
    rotation, joints, _, _ = random_pose()
    transforms, posed = skinning.forward_kinematics(rotation, joints, PARENTS)
    for index in range(len(rotation)):
        expected_transforms, expected_posed = textbook_transforms(rotation[index], joints)
        torch.testing.assert_close(transforms[index], expected_transforms)
        torch.testing.assert_close(posed[index], expected_posed)


def test_every_body_may_have_its_own_joints() -> None:
    rotation, joints, _, _ = random_pose(batch=2)
    both = torch.stack([joints, 2 * joints])
    transforms, posed = skinning.forward_kinematics(rotation, both, PARENTS)
    for index in range(2):
        alone = skinning.forward_kinematics(rotation[index : index + 1], both[index], PARENTS)
        torch.testing.assert_close(transforms[index], alone[0][0])
        torch.testing.assert_close(posed[index], alone[1][0])


def test_rest_pose_stays() -> None:
    _, joints, points, weights = random_pose()
    identity = torch.eye(3, dtype=torch.float64).expand(1, 24, 3, 3)
    transforms, posed = skinning.forward_kinematics(identity, joints, PARENTS)
    torch.testing.assert_close(posed[0], joints)
    torch.testing.assert_close(skinning.skin(points, weights, transforms)[0], points)


def test_turning_the_root_turns_everything_about_the_pelvis() -> None:
    rotation, joints, points, weights = random_pose()
    turn = rotations.axis_angle_to_matrix(torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64))
    turned = rotation.clone()
    turned[:, 0] = turn @ rotation[:, 0]
    before, joints_before = skinning.forward_kinematics(rotation, joints, PARENTS)
    after, joints_after = skinning.forward_kinematics(turned, joints, PARENTS)

    def about_pelvis(positions: Tensor) -> Tensor:
        return (positions - joints[0]) @ turn.T + joints[0]

    torch.testing.assert_close(joints_after, about_pelvis(joints_before))
    skinned_before = skinning.skin(points, weights, before)
    torch.testing.assert_close(skinning.skin(points, weights, after), about_pelvis(skinned_before))


def test_bones_keep_their_length() -> None:
    rotation, joints, _, _ = random_pose()
    _, posed = skinning.forward_kinematics(rotation, joints, PARENTS)
    parents = torch.tensor(PARENTS[1:])
    lengths = (posed[:, 1:] - posed[:, parents]).norm(dim=-1)
    expected = (joints[1:] - joints[parents]).norm(dim=-1)
    torch.testing.assert_close(lengths, expected.expand_as(lengths))


def test_point_of_one_joint_moves_rigidly_with_it() -> None:
    rotation, joints, points, _ = random_pose()
    transforms, _ = skinning.forward_kinematics(rotation, joints, PARENTS)
    weights = torch.nn.functional.one_hot(torch.full((len(points),), 18), 24).double()
    expected = points @ transforms[:, 18, :3, :3].mT + transforms[:, None, 18, :3, 3]
    torch.testing.assert_close(skinning.skin(points, weights, transforms), expected)


def test_points_may_differ_between_bodies() -> None:
    rotation, joints, points, weights = random_pose(batch=2)
    transforms, _ = skinning.forward_kinematics(rotation, joints, PARENTS)
    both = torch.stack([points, -points])
    skinned = skinning.skin(both, weights, transforms)
    torch.testing.assert_close(skinned[0], skinning.skin(points, weights, transforms)[0])
    torch.testing.assert_close(skinned[1], skinning.skin(-points, weights, transforms)[1])


def test_derivatives() -> None:
    rotation, joints, points, weights = random_pose(batch=2, points=4)

    def posed_points(*arguments: Tensor) -> Tensor:
        rotation, joints, points, weights = arguments
        transforms, posed = skinning.forward_kinematics(rotation, joints, PARENTS)
        return torch.cat([skinning.skin(points, weights, transforms), posed], 1)

    arguments = tuple(tensor.requires_grad_() for tensor in (rotation, joints, points, weights))
    assert gradcheck(posed_points, arguments, fast_mode=True)


def test_nearest_rotation_is_the_polar_factor() -> None:
    rotation, joints, _, weights = random_pose(points=200)
    # Blends of rotations by up to a right angle, as at a bent elbow.
    mild = rotations.axis_angle_to_matrix(rotations.matrix_to_axis_angle(rotation) / 2)
    transforms, _ = skinning.forward_kinematics(mild, joints, PARENTS)
    matrices = skinning.blend(weights, transforms)[..., :3]
    matrices = matrices[torch.linalg.det(matrices) > 0]
    assert len(matrices) > 300
    left, _, right = torch.linalg.svd(matrices)
    torch.testing.assert_close(skinning.nearest_rotation(matrices), left @ right, rtol=0, atol=1e-12)


def test_nearest_rotation_leaves_rotations_alone() -> None:
    rotation = random_pose()[0].float()
    torch.testing.assert_close(skinning.nearest_rotation(rotation), rotation, rtol=0, atol=1e-6)
    assert skinning.nearest_rotation(rotation[:0]).shape == (0, 24, 3, 3)


def test_nearest_rotation_of_hopeless_matrices_is_finite() -> None:
    reflection = torch.diag(torch.tensor([1.0, 1.0, -0.1]))
    half_turn = torch.diag(torch.tensor([0.0, 0.0, 1.0]))
    matrices = torch.stack([reflection, half_turn, torch.zeros(3, 3)]).requires_grad_()
    result = skinning.nearest_rotation(matrices)
    result.square().sum().backward()
    assert result.isfinite().all()
    assert matrices.grad is not None and matrices.grad.isfinite().all()
    torch.testing.assert_close(torch.linalg.det(result[0]), torch.tensor(1.0))


def test_nearest_rotation_of_reflections_is_finite_in_single_precision() -> None:
    generator = torch.Generator().manual_seed(GENERATOR_SEED)
    matrices = torch.randn(5000, 3, 3, generator=generator)
    assert (torch.linalg.det(matrices) < 0).sum() > 2000
    result = skinning.nearest_rotation(matrices.requires_grad_())
    result.sum().backward()
    assert result.isfinite().all()
    assert matrices.grad is not None and matrices.grad.isfinite().all()


def test_derivative_of_nearest_rotation() -> None:
    rotation = random_pose(batch=1)[0][0, :4]
    half_turned = rotations.axis_angle_to_matrix(torch.tensor([0, 0, 0.9 * math.pi], dtype=torch.float64))
    matrices = 0.5 * rotation + 0.5 * rotation @ half_turned
    assert gradcheck(skinning.nearest_rotation, matrices.requires_grad_())
