"""Initial poses of the wrong kind."""

import numpy as np
import pytest
import torch

from models.avatar.kinds import KINDS, alternatives, put_right
from models.body import BodyModel
from models.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from tests.models.hmr.test_inverse_kinematics import walk

FRAMES = 30
RUN = range(10, 20)


def motion() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    poses, trans = walk(FRAMES)
    random = np.random.default_rng(0)
    noise = torch.from_numpy(random.normal(size=poses.shape).astype(np.float32))
    return poses + 0.02 * noise, trans, torch.zeros(10)


def all_kinds(poses: torch.Tensor) -> torch.Tensor:
    rotations = axis_angle_to_matrix(poses.reshape(-1, 24, 3))
    return alternatives(rotations, torch.tensor([0.0, 0, 1]).expand(len(poses), 3))


def joints(body: BodyModel, poses: torch.Tensor) -> torch.Tensor:
    return body.articulate(poses, torch.zeros(len(poses), 3), torch.zeros(10))[1]


def test_a_good_motion_stays_as_it_is(body: BodyModel) -> None:
    poses, trans, betas = motion()
    found, changed = put_right(poses, trans, betas, body)
    assert not changed
    assert torch.equal(found, poses)


@pytest.mark.parametrize("kind", range(1, len(KINDS)), ids=KINDS[1:])
def test_a_run_of_the_wrong_kind_is_put_right(body: BodyModel, kind: int) -> None:
    poses, trans, betas = motion()
    wrong = poses.clone()
    wrong[RUN] = matrix_to_axis_angle(all_kinds(poses)[RUN, kind]).flatten(1)
    found, changed = put_right(wrong, trans, betas, body)
    before, after = (torch.linalg.norm(joints(body, p) - joints(body, poses), dim=-1) for p in (wrong, found))
    assert set(changed) == set(RUN)
    assert after[RUN].mean() < 0.25 * before[RUN].mean()


def test_every_kind_undoes_itself(body: BodyModel) -> None:
    poses = motion()[0]
    for kind, name in enumerate(KINDS):
        once = matrix_to_axis_angle(all_kinds(poses)[:, kind]).flatten(1)
        twice = all_kinds(once)[:, kind]
        torch.testing.assert_close(twice, all_kinds(poses)[:, 0], atol=1e-4, rtol=0, msg=name)


def test_reversed_in_depth_looks_the_same_from_afar(body: BodyModel) -> None:
    poses = motion()[0]
    turned = matrix_to_axis_angle(all_kinds(poses)[:, KINDS.index("reversed in depth")]).flatten(1)
    other = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22]
    here, there = joints(body, poses), joints(body, turned)[:, other]
    apart = (here - here[:, :1]) - (there - there[:, :1])
    assert apart[..., :2].abs().max() < 0.02
    assert apart[..., 2].abs().max() > 0.1
