"""Stage poses: the fit to landmarks, and the user's own motion files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.body import Motion, load_embedded_body
from models.errors import InputError
from models.hmr import landmarks as sites
from models.people import Landmarks
from stages.frames import Frames
from stages.poses import STAGE, PosesSettings, choose_engine
from tests.stages.conftest import CallStage, FramesFolder

COUNT = 10
SIZE = (320, 240)


@pytest.fixture
def inputs(frames_folder: FramesFolder, tmp_path: Path) -> dict[str, Path]:
    """A person standing 4 m away with hanging arms, not seen in the last frame."""
    frames = frames_folder([np.zeros((SIZE[1], SIZE[0], 3), np.uint8)] * COUNT)
    K = Frames.load(frames).K
    poses = torch.zeros(COUNT, 24, 3)
    poses[:, 0, 0], poses[:, 16, 2], poses[:, 17, 2] = torch.pi, -1.2, 1.2
    body = load_embedded_body()
    posed = body.articulate(
        poses.flatten(1), torch.tensor([[0.0, 0.0, 4.0]]).expand(COUNT, 3), torch.zeros(10)
    )
    places = sites.landmark_positions(*posed).numpy()
    image, world = np.ones((2, COUNT, 33, 3)), np.zeros((2, COUNT, 33, 3))
    image[:, :, sites.NUMBERS, :2] = (places @ K.T)[..., :2] / places[..., 2:]
    world[:, :, sites.NUMBERS] = places - places[:, sites.TORSO[2:]].mean(1, keepdims=True)
    valid = np.ones((2, COUNT), bool)
    valid[:, -1] = False
    detect = tmp_path / "detect"
    detect.mkdir()
    Landmarks(image, world, valid).save(detect / "landmarks.npz")
    return {"frames": frames, "detect": detect}


def users(path: Path, count: int, **changed: object) -> Path:
    body = load_embedded_body()
    poses = np.zeros((count, 72), np.float32)
    poses[:, 0], poses[:, 3] = np.pi, 0.01 * np.arange(count)
    trans = np.tile(np.float32([0.2, 0.0, 4.0]), (count, 1))
    joints = body.articulate(torch.from_numpy(poses), torch.from_numpy(trans), torch.zeros(10))[1].numpy()
    K = np.array([[300.0, 0, SIZE[0] / 2], [0, 300, SIZE[1] / 2], [0, 0, 1]])
    motion = Motion(
        poses=poses,
        trans=trans,
        betas=np.zeros(10, np.float32),
        K=K,
        frame=np.arange(count),
        fps=30.0,
        width=SIZE[0],
        height=SIZE[1],
        body="embedded",
        valid=np.ones(count, bool),
        joints=joints,
    )
    replace(motion, **changed).save(path)
    return path


def pelvis_in_picture(motion: Motion) -> np.ndarray:
    assert motion.joints is not None
    pelvis = motion.joints[:, 0] @ motion.K.T
    return pelvis[:, :2] / pelvis[:, 2:]


def test_landmarks_become_a_motion(inputs: dict[str, Path], call_stage: CallStage) -> None:
    summary, folder = call_stage(STAGE, PosesSettings(steps=150, height=1.8), **inputs)
    motion, frames = Motion.load(folder / "motion.npz"), Frames.load(inputs["frames"])
    assert (summary["frames"], summary["valid"], summary["body"]) == (COUNT, COUNT - 1, "embedded")
    assert summary["height"] == pytest.approx(1.8, abs=0.002)
    assert summary["reprojection_pixels"] < 3
    np.testing.assert_array_equal(motion.valid, np.arange(COUNT) < COUNT - 1)
    np.testing.assert_array_equal(motion.frame, frames.source_index)
    np.testing.assert_array_equal(motion.K, frames.K_source)
    assert (motion.fps, motion.width, motion.height) == (frames.fps, *SIZE)
    assert motion.joints is not None and abs(motion.joints[0, 0, 2] - 4) < 0.3


@pytest.mark.parametrize(("count", "first"), [(COUNT, [0, 1, 2]), (2 * COUNT, [0, 2, 4])])
def test_users_motion_is_taken_at_the_frames_kept(
    inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path, count: int, first: list[int]
) -> None:
    settings = PosesSettings(file=users(tmp_path / "mine.npz", count))
    summary, folder = call_stage(STAGE, settings, **inputs)
    motion = Motion.load(folder / "motion.npz")
    assert len(motion) == summary["frames"] == COUNT
    np.testing.assert_allclose(motion.poses[:3, 3], 0.01 * np.array(first), atol=1e-6)
    np.testing.assert_array_equal(motion.frame, 2 * np.arange(COUNT))
    np.testing.assert_allclose(motion.trans[0], [0.2, 0, 4], atol=1e-5)


def test_users_motion_of_another_length_is_refused(
    inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path
) -> None:
    settings = PosesSettings(file=users(tmp_path / "mine.npz", 13))
    with pytest.raises(InputError, match=r"mine.npz holds 13 poses, but 10 frames are kept of 20"):
        call_stage(STAGE, settings, **inputs)


@pytest.fixture
def known_camera(inputs: dict[str, Path]) -> dict[str, Path]:
    """The inputs, the clip's focal length being the user's."""
    path = inputs["frames"] / "frames.npz"
    with np.load(path) as data:
        np.savez(path, **{**data, "focal_source": "user"})
    return inputs


def of_another_camera(path: Path) -> Path:
    K = np.array([[1200.0, 0, 310], [0, 1200, 230], [0, 0, 1]])
    return users(path, COUNT, K=K, width=2 * SIZE[0], height=2 * SIZE[1])


def test_users_camera_is_believed_rather_than_a_guess(
    inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path
) -> None:
    path = of_another_camera(tmp_path / "mine.npz")
    _, folder = call_stage(STAGE, PosesSettings(file=path), **inputs)
    own, motion = Motion.load(path), Motion.load(folder / "motion.npz")
    np.testing.assert_allclose(motion.K, np.diag([0.5, 0.5, 1]) @ own.K)
    assert (motion.width, motion.height) == SIZE
    np.testing.assert_allclose(motion.trans, own.trans, atol=1e-5)


def test_users_motion_of_another_camera_keeps_its_place_in_the_picture(
    known_camera: dict[str, Path], call_stage: CallStage, tmp_path: Path
) -> None:
    path = of_another_camera(tmp_path / "mine.npz")
    _, folder = call_stage(STAGE, PosesSettings(file=path), **known_camera)
    own, motion = Motion.load(path), Motion.load(folder / "motion.npz")
    np.testing.assert_allclose(pelvis_in_picture(motion), pelvis_in_picture(own) / 2, atol=1e-3)
    assert motion.joints is not None and own.joints is not None
    # Twice the focal length of the clip's camera: half as far away there.
    np.testing.assert_allclose(motion.joints[:, 0, 2], own.joints[:, 0, 2] / 2, rtol=1e-5)
    np.testing.assert_allclose(motion.joints[:, 0] - motion.trans, own.joints[:, 0] - own.trans, atol=1e-5)


def test_a_foreign_motion_is_put_on_the_embedded_body(
    inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path
) -> None:
    path = users(tmp_path / "mine.npz", COUNT, body="smpl", betas=np.full(10, 1.5, np.float32))
    _, folder = call_stage(STAGE, PosesSettings(file=path), **inputs)
    own, motion = Motion.load(path), Motion.load(folder / "motion.npz")
    assert motion.body == "embedded"
    assert np.abs(motion.betas - own.betas).max() > 1  # SMPL's shape says nothing of another body's
    assert motion.joints is not None and own.joints is not None
    np.testing.assert_allclose(motion.joints[:, 0], own.joints[:, 0], atol=1e-5)


def test_a_motion_behind_the_camera_is_refused(
    inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path
) -> None:
    path = users(tmp_path / "mine.npz", COUNT, trans=-np.ones((COUNT, 3), np.float32), joints=None)
    with pytest.raises(InputError, match="behind the camera in frame 0"):
        call_stage(STAGE, PosesSettings(file=path), **inputs)


def test_a_damaged_motion_is_refused(inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path) -> None:
    (tmp_path / "mine.npz").write_bytes(b"PK no zip")
    with pytest.raises(InputError, match=r"mine\.npz"):
        call_stage(STAGE, PosesSettings(file=tmp_path / "mine.npz"), **inputs)


def test_engine_is_named() -> None:
    assert choose_engine(PosesSettings()) == "blazepose"
    assert choose_engine(PosesSettings(file=Path("mine.npz"))) == "file"
