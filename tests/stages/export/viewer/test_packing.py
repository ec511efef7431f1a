from dataclasses import replace

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import BodyModel
from models.body.skinning import skin
from stages.export.clip import Clip
from stages.export.viewer.packing import (
    GAUSSIAN,
    body_arrays,
    contained,
    joint_transforms,
    pack_gaussians,
    strongest,
)


def test_a_gaussian_is_two_texels() -> None:
    assert GAUSSIAN.itemsize == 32


def test_packed_gaussians_are_the_avatars(lively: Clip) -> None:
    avatar = lively.avatar
    packed, (low, high) = pack_gaussians(avatar)
    assert len(packed) == len(avatar)
    assert low + packed["position"] / 65535 * (high - low) == pytest.approx(avatar.means.numpy(), abs=2e-5)
    unit = torch.nn.functional.normalize(avatar.quaternions, dim=1).numpy()
    assert packed["quaternion"] / 32767 == pytest.approx(unit, abs=2e-5)
    scales = np.concatenate([packed["scale_xy"], packed["scale_z"][:, None]], 1).astype(np.float32)
    assert scales == pytest.approx(avatar.log_scales.exp().numpy(), rel=1e-3)
    assert packed["color"][:, :3] / 255 == pytest.approx(avatar.colors.numpy(), abs=0.002)
    assert packed["color"][:, 3] / 255 == pytest.approx(avatar.opacity_logits.sigmoid().numpy(), abs=0.002)


def test_gaussians_without_numbers_are_left_out(avatar: Avatar) -> None:
    means, colors = avatar.means.clone(), avatar.colors.clone()
    means[3, 1], colors[5, 0] = float("nan"), float("inf")
    packed, box = pack_gaussians(replace(avatar, means=means, colors=colors))
    assert len(packed) == len(avatar) - 2
    assert np.isfinite(box).all()


def test_an_avatar_without_any_gaussian_is_packed_as_none(avatar: Avatar) -> None:
    packed, box = pack_gaussians(replace(avatar, means=torch.full_like(avatar.means, float("nan"))))
    assert len(packed) == 0
    assert not box.any()


def test_one_gaussian_has_a_box_without_extent(avatar: Avatar) -> None:
    names = ("means", "quaternions", "log_scales", "opacity_logits", "colors", "weights")
    packed, (low, high) = pack_gaussians(
        replace(avatar, **{name: getattr(avatar, name)[:1] for name in names})
    )
    assert packed["position"].tolist() == [[0, 0, 0]]
    assert low.tolist() == high.tolist() == avatar.means[0].tolist()


def test_the_strongest_joints_share_everything() -> None:
    weights = np.zeros((3, 24), np.float32)
    weights[0, [7, 2, 9, 1, 5]] = 0.3, 0.25, 0.2, 0.15, 0.1
    weights[1, 4] = 1
    weights[2] = 1 / 24
    joints, shares = strongest(weights)
    assert joints[0].tolist() == [7, 2, 9, 1]
    assert shares[0] / 255 == pytest.approx(np.array([0.3, 0.25, 0.2, 0.15]) / 0.9, abs=1 / 255)
    assert (joints[1, 0], shares[1].tolist()) == (4, [255, 0, 0, 0])
    assert (shares.sum(1, dtype=int) == 255).all()
    assert sorted(shares[2].tolist()) == [63, 64, 64, 64]


def test_transforms_pose_the_avatar_where_the_motion_has_its_pelvis(lively: Clip) -> None:
    # A motion of another shape: its joints say where the pelvis is, not its translation.
    motion = replace(lively.refined, trans=lively.refined.trans + 1)
    transforms = torch.from_numpy(joint_transforms(lively.avatar, motion))
    whole = torch.nn.functional.pad(transforms, (0, 0, 0, 1))
    whole[..., 3, 3] = 1
    for frame in (0, 5):
        trans = torch.from_numpy(lively.pelvis(frame)).float() - lively.avatar.rest_joints[0]
        expected = lively.avatar.pose(torch.from_numpy(motion.poses[frame]), trans).means
        ours = skin(lively.avatar.means, lively.avatar.weights, whole[frame])
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_the_body_has_the_avatars_shape(avatar: Avatar, body: BodyModel) -> None:
    betas = torch.linspace(-1, 1, 10)
    arrays = body_arrays(replace(avatar, betas=betas), body)
    assert arrays["vertices"] == pytest.approx(body.shape(betas)[0].numpy())
    assert arrays["faces"].max() == len(body.v_template) - 1
    assert arrays["vertex_joints"].shape == arrays["vertex_shares"].shape == (len(body.v_template), 4)


def test_arrays_begin_where_any_type_may() -> None:
    places, text = contained({"a": np.arange(3, dtype=np.uint8), "b": np.ones(2, np.float32)})
    assert places == {"a": {"start": 0, "bytes": 3}, "b": {"start": 4, "bytes": 8}}
    assert len(text) == 16
