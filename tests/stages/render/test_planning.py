"""Which pose from which camera."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import Motion
from models.cameras import orbit, scale_intrinsics
from models.drawing import project
from models.errors import InputError
from models.formats import write_bvh
from stages.render import plan
from tests.models.avatar.scenes import HEIGHT, WIDTH, K
from tests.stages.render.conftest import FRAMES

MakeCameras = Callable[..., Path]


@pytest.fixture
def make_cameras(tmp_path: Path) -> MakeCameras:
    def make(count: int, **changes: object) -> Path:
        places = [np.linalg.inv(orbit([0, 0, 3], [0, -1, 0], 0.3 * i)) for i in range(count)]
        arrays = {"K": np.stack([K] * count), "T_world_cam": np.stack(places), **changes}
        np.savez(tmp_path / "cameras.npz", **{k: v for k, v in arrays.items() if v is not None})
        return tmp_path / "cameras.npz"

    return make


def test_the_motions_own_camera_sees_all_of_it(avatar: Avatar, motion: Motion, motion_file: Path) -> None:
    (take,), notes = plan(avatar, motion_file)
    assert (len(take), take.size, take.fps, take.name, notes) == (FRAMES, (WIDTH, HEIGHT), 12.5, "", ())
    np.testing.assert_allclose(take.poses, motion.poses)
    np.testing.assert_allclose(take.trans, motion.trans, atol=1e-6)
    assert all(camera.T_cam_world is None for camera in take.cameras)
    (larger,), _ = plan(avatar, motion_file, size=(2 * WIDTH, 2 * HEIGHT), fps=25.0)
    assert larger.cameras[0].K.numpy() == pytest.approx(scale_intrinsics(K, 2, 2))
    assert (len(larger), larger.fps) == (2 * FRAMES - 1, 25)


def test_a_motion_that_no_camera_saw_is_all_in_the_picture(
    avatar: Avatar, motion: Motion, tmp_path: Path
) -> None:
    walk = np.float32([[-3, 0, 0], [-1, 0, 2], [1, 0, 4], [3, -1, 6]])
    far = replace(motion, trans=motion.trans + walk, joints=None)
    write_bvh(tmp_path / "a.bvh", far, avatar.rest_joints, avatar.parents.tolist())
    for size in ((200, 100), (100, 300)):
        (take,), notes = plan(avatar, tmp_path / "a.bvh", size=size)
        assert take.size == size and "a.bvh" in notes[0]
        for poses, trans, camera in zip(take.poses, take.trans, take.cameras, strict=True):
            means = avatar.pose(poses, trans).means.numpy()
            assert camera.T_cam_world is not None
            place = camera.T_cam_world.numpy()
            pixels = project(means @ place[:3, :3].T + place[:3, 3], camera.K.numpy())
            assert pixels.min() > 0 and (pixels < size).all()


def test_an_orbit_goes_once_around_the_path(avatar: Avatar, motion: Motion, motion_file: Path) -> None:
    (take,), _ = plan(avatar, motion_file, around="orbit")
    path = motion.joints[:, 0]
    middle = torch.tensor([*((path.min(0) + path.max(0)) / 2), 1.0]).double()
    seen = np.stack([(camera.T_cam_world @ middle).numpy() for camera in take.cameras])
    np.testing.assert_allclose(seen, seen[:1].repeat(FRAMES, 0), atol=1e-6)
    backs = [camera.T_cam_world[:3, :3].numpy()[2, 2] for camera in take.cameras]
    assert backs == pytest.approx(
        [1, 0, -1, 0], abs=0.05
    )  # front, side, back, side: up is nearly the picture's


def test_a_turntable_shows_the_a_pose_or_a_motion_in_place(avatar: Avatar, motion_file: Path) -> None:
    (take,), _ = plan(avatar, around="turntable", size=(90, 120), fps=4.0)
    assert (len(take), take.size, take.fps) == (12, (90, 120), 4)
    assert not take.trans.any() and np.ptp(take.poses, axis=0).max() == 0
    (moving,), _ = plan(avatar, motion_file, around="turntable")
    assert len(moving) == FRAMES and np.ptp(moving.poses, axis=0).max() > 0.1
    assert moving.poses[:, :3] == pytest.approx(np.zeros((FRAMES, 3)), abs=0.1)  # upright with Y up
    assert moving.size == (480, 640)


def test_each_camera_shows_the_whole_motion(
    avatar: Avatar, motion_file: Path, make_cameras: MakeCameras
) -> None:
    takes, _ = plan(avatar, motion_file, make_cameras(3), fps=25.0)
    assert [(take.name, len(take), take.fps) for take in takes] == [(f"cam{i}", 7, 25.0) for i in range(3)]
    assert takes[0].size == (WIDTH, HEIGHT)
    for number, take in enumerate(takes):
        expected = orbit([0, 0, 3], [0, -1, 0], 0.3 * number)
        np.testing.assert_allclose(take.cameras[5].T_cam_world, expected, atol=1e-9)
    (alone,), _ = plan(avatar, motion_file, make_cameras(1, K=K))
    assert alone.name == "" and len(alone) == FRAMES


def test_as_many_cameras_as_frames_see_one_each(
    avatar: Avatar, motion: Motion, motion_file: Path, make_cameras: MakeCameras
) -> None:
    (take,), _ = plan(avatar, motion_file, make_cameras(FRAMES), fps=5.0)
    assert (len(take), take.fps) == (FRAMES, 5)
    np.testing.assert_allclose(take.poses, motion.poses)
    assert take.cameras[1].T_cam_world is not take.cameras[2].T_cam_world
    (chosen,), _ = plan(avatar, motion_file, make_cameras(2, frame=[3, 1]))
    np.testing.assert_allclose(chosen.poses, motion.poses[[3, 1]])
    np.testing.assert_allclose(chosen.trans, motion.trans[[3, 1]], atol=1e-6)


def test_all_cameras_see_a_single_pose(
    avatar: Avatar, motion: Motion, tmp_path: Path, make_cameras: MakeCameras
) -> None:
    one = {
        name: value[:1]
        for name, value in vars(motion).items()
        if name in ("poses", "trans", "joints", "frame", "valid")
    }
    replace(motion, **one).save(tmp_path / "one.npz")
    (take,), _ = plan(avatar, tmp_path / "one.npz", make_cameras(5))
    assert len(take) == 5 and np.ptp(take.poses, axis=0).max() == 0


def test_the_files_size_is_that_of_its_intrinsics(
    avatar: Avatar, motion_file: Path, make_cameras: MakeCameras
) -> None:
    def intrinsics(size: tuple[int, int] | None, **stored: int) -> np.ndarray:
        (take,), _ = plan(avatar, motion_file, make_cameras(1, **stored), size=size)
        return np.asarray(take.cameras[0].K)

    double = (2 * WIDTH, 2 * HEIGHT)
    assert intrinsics(None) == pytest.approx(K)
    assert intrinsics(double) == pytest.approx(K)  # taken as of this size, since the file names none
    assert intrinsics(double, width=WIDTH, height=HEIGHT) == pytest.approx(scale_intrinsics(K, 2, 2))


EYE = np.eye(4)[None]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"K": None}, "lacks `K`"),
        ({"K": np.zeros((2, 3, 3))}, "shape"),
        ({"K": np.zeros((3, 4))}, "shape"),
        ({"T_world_cam": np.zeros((3, 4))}, "shape"),
        ({"T_world_cam": np.full((1, 4, 4), np.nan)}, "finite"),
        ({"T_world_cam": 2 * EYE}, "more than rotation"),
        ({"T_world_cam": -EYE}, "more than rotation"),
        ({"T_world_cam": EYE + np.eye(4, k=-1)}, "rotation|last row"),
        ({"K": np.diag([-1.0, 1, 1]), "width": 9, "height": 9}, "focal"),
        ({"frame": [0.5]}, "whole"),
        ({"frame": [-1]}, "whole"),
        ({"frame": [99]}, "up to 99"),
        ({"frame": [1e300]}, "whole"),
        ({"K": K.T, "width": WIDTH, "height": HEIGHT}, "transposed"),
        ({"K": K + np.eye(3, k=1), "width": WIDTH, "height": HEIGHT}, "skew"),
        ({"width": 2**15, "height": 9}, "32768 x 9 pixels are too large"),
        ({"frame": [0, 1]}, "shape"),
        ({"width": 1e9, "height": 1}, "cannot be drawn"),
        ({"width": 9}, "there is `width`, but no `height`"),
        ({"height": 9}, "there is `height`, but no `width`"),
    ],
)
def test_cameras_that_are_none_are_refused(
    avatar: Avatar, motion_file: Path, make_cameras: MakeCameras, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as told:
        plan(avatar, motion_file, make_cameras(1, **changes))
    assert "cameras.npz" in told.value.problem


def test_a_turntable_has_a_picture_at_any_rate(avatar: Avatar) -> None:
    (take,), _ = plan(avatar, around="turntable", fps=0.001)
    assert (len(take), take.fps) == (1, 0.001)


def test_pictures_that_no_memory_holds_are_refused(avatar: Avatar, motion: Motion, tmp_path: Path) -> None:
    replace(motion, width=2**15).save(tmp_path / "motion.npz")
    with pytest.raises(InputError, match=r"motion\.npz: pictures of 32768 x .* too large") as told:
        plan(avatar, tmp_path / "motion.npz")
    assert "--size" in told.value.next_step
    plan(avatar, tmp_path / "motion.npz", size=(64, 64))


def test_without_a_motion_there_is_nothing_but_a_turntable(avatar: Avatar) -> None:
    with pytest.raises(InputError, match="no motion"):
        plan(avatar, around="orbit")
