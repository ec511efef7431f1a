"""The motion file: what is saved is loaded, and nothing else gets in."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.body import BodyModel, Motion, load_embedded_body, retarget
from models.body.transfer import SMPL_PELVIS, stature, usual_stature
from models.errors import InputError
from tests.models.body.made_up_smpl import smpl_body

T = 4
K = np.array([[600.0, 0, 240], [0, 600, 320], [0, 0, 1]])


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_embedded_body()


def required() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        "poses": generator.normal(0, 0.5, (T, 72)).astype(np.float32),
        "trans": generator.normal(0, 0.1, (T, 3)).astype(np.float32) + np.float32([0, 0, 3]),
        "betas": generator.normal(0, 1, 10).astype(np.float32),
        "K": K,
    }


def complete() -> Motion:
    return Motion(
        **required(),
        frame=np.array([0, 2, 4, 7]),
        fps=14.985,
        width=480,
        height=640,
        body="smpl",
        valid=np.array([True, False, True, True]),
        joints=np.random.default_rng(1).normal(0, 1, (T, 24, 3)).astype(np.float32),
    )


def assert_same(first: Motion, second: Motion) -> None:
    for field in fields(Motion):
        left, right = getattr(first, field.name), getattr(second, field.name)
        assert type(left) is type(right), field.name
        assert np.array_equal(left, right), field.name
        assert getattr(left, "dtype", None) == getattr(right, "dtype", None), field.name


def test_saved_motion_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "täst motion.npz"
    complete().save(path)
    assert_same(Motion.load(path), complete())


def test_motion_without_joints_comes_back(tmp_path: Path) -> None:
    motion = replace(complete(), joints=None)
    motion.save(tmp_path / "motion.npz")
    assert_same(Motion.load(tmp_path / "motion.npz"), motion)


def test_a_user_s_file_gets_defaults(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", **required(), comment=np.array(["anything"]))
    motion = Motion.load(tmp_path / "mine.npz", body="smpl", fps=25)
    assert motion.frame.tolist() == [0, 1, 2, 3]
    assert motion.valid.tolist() == [True] * T
    assert (motion.width, motion.height, motion.fps, motion.body) == (480, 640, 25, "smpl")
    assert motion.joints is None
    assert len(motion) == T


def with_nan(shape: tuple[int, ...]) -> np.ndarray:
    array = np.zeros(shape)
    array[(-1,) * len(shape)] = np.nan
    return array


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"poses": None}, "lacks poses"),
        ({"K": None, "betas": None}, "lacks betas, K"),
        ({"poses": np.zeros((T, 24, 3))}, "poses of shape"),
        ({"poses": np.zeros((0, 72))}, "poses of shape"),
        ({"poses": np.zeros((T, 63))}, "poses of shape"),
        ({"poses": with_nan((T, 72))}, "no numbers"),
        ({"poses": np.full((T, 72), 45.0)}, "degrees"),
        ({"poses": np.array([["1"] * 72] * T)}, "expected numbers"),
        ({"poses": np.zeros((T, 72), complex)}, "expected numbers"),
        ({"trans": np.zeros((T - 1, 3))}, "trans of shape"),
        ({"trans": with_nan((T, 3))}, "no numbers"),
        ({"trans": np.full((T, 3), np.inf)}, "no numbers"),
        ({"betas": np.zeros(16)}, "betas of shape"),
        ({"betas": np.zeros((T, 10))}, "betas of shape"),
        ({"K": np.eye(4)}, "K of shape"),
        ({"K": -K}, "no camera"),
        ({"K": K.T}, "no camera"),
        ({"K": K + 3 * np.eye(3, k=1)[[0, 2, 2]]}, "skew"),
        ({"K": np.diag([600.0, 600, 1])}, "principal point"),
        ({"joints": np.zeros((T, 17, 3))}, "joints of shape"),
        ({"frame": np.array([0, 1, 1, 2])}, "frame index"),
        ({"frame": np.array([0.5, 1, 2, 3])}, "frame index"),
        ({"frame": np.array([-1, 0, 1, 2])}, "frame index"),
        ({"frame": np.array([0, 1, 2, 1e300])}, "frame index"),
        ({"frame": np.arange(T - 1)}, "frame of shape"),
        ({"fps": 0.0}, "fps 0"),
        ({"fps": np.array([30.0])}, "fps of shape"),
        ({"fps": 1e-9}, "fps 1e-09"),
        ({"fps": 1e9}, "fps 1e+09"),
        ({"width": -480}, "width -480"),
        ({"width": 0.3}, "width 0.3"),
        ({"height": 1e9}, "height 1e+09"),
        ({"K": np.array([[600.0, 0, 1e9], [0, 600, 320], [0, 0, 1]])}, "width 2e+09"),
        ({"valid": np.array([0, 1, 2, 1])}, "valid flag"),
        ({"body": "smplx"}, "unknown body"),
    ],
)
def test_bad_fields_are_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = tmp_path / "bad.npz"
    arrays = {name: value for name, value in (required() | change).items() if value is not None}
    np.savez(path, **arrays)
    with pytest.raises(InputError) as caught:
        Motion.load(path)
    assert reason in caught.value.problem
    assert str(path) in caught.value.problem
    assert caught.value.next_step


def test_bad_files_are_refused(tmp_path: Path) -> None:
    good = tmp_path / "good.npz"
    complete().save(good)
    contents = {
        "empty.npz": b"",
        "text.npz": b"poses: 1 2 3",
        "truncated.npz": good.read_bytes()[:-200],
        "damaged.npz": good.read_bytes()[:300] + bytes(200) + good.read_bytes()[500:],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "single.npy", np.zeros(3))
    np.savez(tmp_path / "pickled.npz", **(required() | {"poses": np.array([{}], dtype=object)}))
    for name in [*contents, "single.npy", "pickled.npz", "absent.npz", "."]:
        with pytest.raises(InputError):
            Motion.load(tmp_path / name)


def test_retargeting_keeps_pelvis_poses_and_stature(body: BodyModel) -> None:
    motion = complete()
    own = smpl_body()
    betas = torch.from_numpy(motion.betas) / 3
    joints = own.articulate(torch.from_numpy(motion.poses), torch.from_numpy(motion.trans), betas)[1]
    motion = replace(motion, joints=joints.numpy())
    target = retarget(motion, body)
    assert target.body == "embedded"
    assert np.array_equal(target.poses, motion.poses)
    assert motion.joints is not None and target.joints is not None
    np.testing.assert_allclose(target.joints[:, 0], motion.joints[:, 0], atol=1e-5)
    assert usual_stature(target.joints) == pytest.approx(usual_stature(motion.joints), abs=0.05)


def test_retargeting_to_another_shape_without_joints(body: BodyModel) -> None:
    motion = replace(complete(), body="embedded", joints=None)
    itself = retarget(motion, body)
    np.testing.assert_allclose(itself.trans, motion.trans, atol=1e-6)
    assert np.array_equal(itself.betas, motion.betas)
    other = retarget(motion, body, np.full(10, -1.0))
    assert itself.joints is not None and other.joints is not None
    np.testing.assert_allclose(other.joints[:, 0], itself.joints[:, 0], atol=1e-5)
    assert np.abs(other.trans - motion.trans).max() > 1e-3


def test_retargeting_smpl_without_joints_takes_its_mean_body_s_pelvis_and_stature(body: BodyModel) -> None:
    motion = replace(complete(), joints=None)
    target = retarget(motion, body)
    assert target.joints is not None
    np.testing.assert_allclose(target.joints[:, 0], motion.trans + SMPL_PELVIS, atol=1e-5)
    assert float(stature(body.shaped_joints(torch.from_numpy(target.betas)))) == pytest.approx(1.38, abs=1e-3)


def test_retargeting_the_embedded_body_s_motion_to_smpl(body: BodyModel) -> None:
    betas = np.full(10, 0.5, np.float32)
    motion = replace(complete(), body="embedded", betas=betas, joints=None)
    target = retarget(motion, smpl_body())
    joints = body.articulate(
        torch.from_numpy(motion.poses), torch.from_numpy(motion.trans), torch.from_numpy(betas)
    )[1]
    assert target.joints is not None and target.body == "smpl"
    np.testing.assert_allclose(target.joints[:, 0], joints[:, 0], atol=1e-5)
