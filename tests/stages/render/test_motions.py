"""Motions of any file, at any rate, and in place."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.avatar import Avatar
from models.body import Motion
from models.errors import InputError
from models.formats import write_amass, write_bvh
from stages.render.motions import in_place, read_motion, resampled


def test_every_kind_of_file_is_the_same_motion(
    avatar: Avatar, motion: Motion, motion_file: Path, tmp_path: Path
) -> None:
    write_bvh(tmp_path / "a.BVH", motion, avatar.rest_joints, avatar.parents.tolist(), "cm")
    write_amass(tmp_path / "a.npz", motion)
    files = (motion_file, tmp_path / "a.BVH", tmp_path / "a.npz")
    sources = [read_motion(path, avatar) for path in files]
    for source in sources:
        np.testing.assert_allclose(source.motion.joints, motion.joints, atol=1e-4)
        assert source.motion.fps == pytest.approx(motion.fps)
        np.testing.assert_allclose(avatar.trans_for(source.motion), motion.trans, atol=1e-4)
    assert sources[0].camera is not None and sources[1].camera is sources[2].camera is None
    assert "centimetres" in sources[1].notes[0]


@pytest.mark.parametrize("content", [b"", b"neither this nor that"])
def test_other_files_are_refused(avatar: Avatar, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "motion.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"motion\.npz"):
        read_motion(tmp_path / "motion.npz", avatar)


def test_a_motion_of_another_skeleton_is_refused(avatar: Avatar, motion: Motion, tmp_path: Path) -> None:
    arrays = {name: value for name, value in vars(motion).items() if value is not None}
    np.savez(tmp_path / "motion.npz", **{**arrays, "poses": np.zeros((4, 51))})
    with pytest.raises(InputError, match=r"poses of shape \(4, 51\)"):
        read_motion(tmp_path / "motion.npz", avatar)


def test_resampling_keeps_the_speed_and_the_frames_that_stay(motion: Motion) -> None:
    twice = resampled(motion, 25.0)
    assert len(twice) == 7 and twice.fps == 25
    np.testing.assert_allclose(twice.trans[::2], motion.trans, atol=1e-6)
    np.testing.assert_allclose(twice.joints[::2], motion.joints, atol=1e-6)
    turns, expected = (Rotation.from_rotvec(m.reshape(-1, 3)) for m in (twice.poses[::2], motion.poses))
    assert (turns * expected.inv()).magnitude().max() < 1e-5
    half = resampled(twice, 12.5)
    np.testing.assert_allclose(half.trans, motion.trans, atol=1e-6)
    assert resampled(motion, 12.5) is motion
    assert len(resampled(motion, 1.0)) == 1


def test_resampling_has_an_end(motion: Motion) -> None:
    with pytest.raises(InputError, match="3000001 frames at 1000 a second"):
        resampled(replace(motion, fps=1e-3), 1000)


def test_joints_turn_the_shortest_way(motion: Motion) -> None:
    poses = np.zeros((2, 72), np.float32)
    poses[:, 1] = [np.pi - 0.1, -np.pi + 0.1]  # 0.2 radians apart, across the half turn
    two = replace(
        motion, poses=poses, trans=motion.trans[:2], joints=None, valid=motion.valid[:2], frame=np.arange(2)
    )
    middle = resampled(two, 25.0).poses[1]
    assert np.abs(middle[1]) == pytest.approx(np.pi, abs=1e-5)


def test_in_place_a_person_who_faces_a_tilted_camera_stands_and_faces_z(motion: Motion) -> None:
    tilt = Rotation.from_euler("x", 0.3)
    poses = np.zeros((1, 72), np.float32)
    poses[0, :3] = (tilt * Rotation.from_rotvec([np.pi, 0, 0])).as_rotvec()
    up = tilt.apply([0, -1, 0])
    turned = in_place(replace(motion, poses=poses), up)
    assert turned[0, :3] == pytest.approx(np.zeros(3), abs=1e-6)
