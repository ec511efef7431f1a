import math

import torch

from models.avatar.trajectory import Scale, Trajectory, temporal_kernel
from models.body import BodyModel
from tests.models.avatar.scenes import true_motion

NARROW, CLIP = Scale(1.2), Scale(math.inf, pace=0.2, memory=4)


def _trajectory(body: BodyModel, *scales: Scale) -> Trajectory:
    poses, trans = true_motion(9)
    return Trajectory(poses, trans, 0.3 * torch.ones(10), body, scales or (NARROW,))


def test_starts_where_it_was_told_to(body: BodyModel) -> None:
    poses, trans = true_motion(9)
    moved, shifted, joints = _trajectory(body).motion()
    torch.testing.assert_close(shifted, trans, atol=1e-5, rtol=0)
    expected = body.pose(poses, trans, 0.3 * torch.ones(10)).joints
    torch.testing.assert_close(joints, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        body.pose(moved, shifted, 0.3 * torch.ones(10)).joints, expected, atol=1e-4, rtol=0
    )


def test_the_likely_shape_is_the_mean_or_what_it_is_told(body: BodyModel) -> None:
    poses, trans = true_motion(9)
    mean = Trajectory(poses, trans, 0.3 * torch.ones(10), body, [NARROW])
    torch.testing.assert_close(mean.shape_misfit(), torch.tensor(0.9))
    told = Trajectory(poses, trans, 0.3 * torch.ones(10), body, [NARROW], 0.5 * torch.ones(10))
    torch.testing.assert_close(told.shape_misfit(), torch.tensor(0.4))


def test_kernel_rows_sum_to_one_and_reach_three_sigma() -> None:
    kernel = temporal_kernel(20, 1.2)
    torch.testing.assert_close(kernel.sum(1), torch.ones(20))
    assert (kernel[10] > 0).nonzero()[:, 0].tolist() == list(range(7, 14))
    assert torch.equal(temporal_kernel(5, 0), torch.eye(5))
    torch.testing.assert_close(temporal_kernel(5, math.inf), torch.full((5, 5), 0.2))


def test_an_update_moves_its_neighbours_and_nobody_else(body: BodyModel) -> None:
    trajectory = _trajectory(body)
    before = trajectory.motion()[2]
    with torch.no_grad():
        trajectory.updates[4, 16 * 3] = 0.5
    moved = (trajectory.motion()[2] - before).norm(dim=-1).amax(1)
    assert (moved[1:8] > 1e-4).all() and (moved[[0, 8]] < 1e-6).all()
    assert moved[4] > moved[3] > moved[2]
    assert trajectory.reached(torch.tensor([4])).tolist() == [1 <= t <= 7 for t in range(9)]
    assert trajectory.reached(torch.tensor([0, 8])).tolist() == [t <= 3 or t >= 5 for t in range(9)]


def test_a_wide_scale_moves_all_frames_alike_and_alone_the_distance(body: BodyModel) -> None:
    trajectory = _trajectory(body, NARROW, CLIP)
    before = trajectory(slice(None)).turns
    with torch.no_grad():
        trajectory.updates[9 + 4, 16 * 3] = 0.9
    turned = trajectory(slice(None)).turns - before
    torch.testing.assert_close(turned[:, 16, 0], torch.full((9,), 0.1))
    assert trajectory.reached(torch.tensor([4])).tolist() == [1 <= t <= 7 for t in range(9)] + [True] * 9
    assert (trajectory.paces[:9, :74] == 1).all() and (trajectory.paces[9:] == 0.2).all()
    assert (trajectory.paces[:9, 74] == 0).all() and (trajectory.memory[9:] == 4).all()


def test_parted_frames_move_alone(body: BodyModel) -> None:
    trajectory = _trajectory(body, NARROW, CLIP)
    with torch.no_grad():
        trajectory.updates.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
    before = trajectory.motion()[2]
    trajectory.part_frames()
    torch.testing.assert_close(trajectory.motion()[2], before, atol=1e-5, rtol=1e-5)
    assert trajectory.reached(torch.tensor([4])).nonzero()[:, 0].tolist() == [4]
    assert (trajectory.paces == 1).all()


def test_settling_changes_nothing_but_where_the_motion_is_kept(body: BodyModel) -> None:
    trajectory = _trajectory(body, NARROW, CLIP)
    with torch.no_grad():
        trajectory.updates.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
    before, distance = trajectory.motion(), trajectory.mean_log_distance()
    trajectory.settle()
    assert not trajectory.updates.any()
    for a, b in zip(before, trajectory.motion(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(distance, trajectory.mean_log_distance())


def test_shape_keeps_the_pelvis(body: BodyModel) -> None:
    trajectory = _trajectory(body)
    before = trajectory.motion()[2][:, 0]
    with torch.no_grad():
        trajectory.betas += 1
    torch.testing.assert_close(trajectory.motion()[2][:, 0], before, atol=1e-5, rtol=0)
