"""The fit on landmarks made from a known motion of the embedded body."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from models.body import JOINT_NAMES, BodyModel, load_embedded_body
from models.hmr import fit_poses, inverse_kinematics, standing_height, with_height
from models.hmr import landmarks as sites
from models.metrics.pose import global_mpjpe, mpjpe, mpjpe_errors, scaled_global_mpjpe
from models.people import Landmarks

FPS = 15.0
LENGTH = 16
# The skeleton's bones from the hips outwards, left and right; heads are right as they are.
_CHAIN = [(23, 11), (11, 13), (13, 15), (15, 19), (23, 25), (25, 27), (27, 31), (31, 29)]
OUTWARDS = [tuple(sites.index(n + side) for n in bone) for side in (0, 1) for bone in _CHAIN]
Motion = Callable[[int], tuple[torch.Tensor, torch.Tensor]]
K = np.array([[700.0, 0, 240], [0, 700, 320], [0, 0, 1]])


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_embedded_body()


def walk(length: int = LENGTH) -> tuple[torch.Tensor, torch.Tensor]:
    """Somebody who walks across the picture and turns, facing the camera at first: poses and trans."""
    phase = torch.linspace(0, 2 * torch.pi, length)
    poses = torch.zeros(length, 24, 3)
    poses[:, 0, 0] = torch.pi
    poses[:, 1, 0], poses[:, 2, 0] = -0.5 * phase.sin(), 0.5 * phase.sin()
    poses[:, 4, 0], poses[:, 5, 0] = 0.3 + 0.3 * phase.cos(), 0.3 - 0.3 * phase.cos()
    poses[:, 16, 2], poses[:, 17, 2] = -1.1, 1.1
    poses[:, 18, 1], poses[:, 19, 1] = -0.6, 0.6
    trans = torch.stack(
        [0.5 * torch.linspace(-1, 1, length), torch.full((length,), -0.1), 4 + phase / 10], -1
    )
    return poses.flatten(1), trans


def about_turn(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Somebody who turns on the spot by half a turn, arms half raised: poses and trans."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, length)
    upright = Rotation.from_rotvec([np.pi, 0, 0])
    poses = torch.zeros(length, 24, 3)
    poses[:, 0] = torch.from_numpy((upright * Rotation.from_rotvec(angle[:, None] * [0, 1, 0])).as_rotvec())
    poses[:, 16, 1:], poses[:, 17, 1:] = torch.tensor([-0.9, -0.3]), torch.tensor([0.9, 0.3])
    return poses.flatten(1), torch.tensor([0.0, -0.1, 4.0]).expand(length, 3)


def usual_depths(places: np.ndarray) -> np.ndarray:
    """Landmarks (len(SITES), 3) with depths that are wrong the way the network's are."""
    seen = places.copy()
    for start, end in OUTWARDS:
        bone = (start, end) if (start, end) in sites.BONES else (end, start)
        sign = 1 if bone == (start, end) else -1
        number = sites.BONES.index(bone)
        change = sign * (places[end, 2] - places[start, 2])
        seen[end, 2] = seen[start, 2] + sign * (change - sites.SHIFTS[number]) / sites.STRETCHES[number]
    return seen


def observed(
    body: BodyModel, betas: torch.Tensor, length: int = LENGTH, motion: Motion = walk
) -> tuple[Landmarks, np.ndarray]:
    """What a BlazePose with no other errors than its usual ones of depth would see of a motion, and the true
    joints."""
    poses, trans = motion(length)
    transforms, joints = body.articulate(poses, trans, betas)
    places = sites.landmark_positions(transforms, joints).numpy()
    image, world = np.ones((2, length, 33, 3)), np.zeros((2, length, 33, 3))
    image[:, :, sites.NUMBERS, :2] = places[..., :2] / places[..., 2:] * 700 + K[:2, 2]
    # BlazePose's axes are turned with the ray through the person.
    centre = places[:, sites.TORSO].mean(1)
    for t, ray in enumerate(centre / np.linalg.norm(centre, axis=-1, keepdims=True)):
        axis = np.cross([0, 0, 1.0], ray)
        skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
        turn = np.eye(3) + skew + skew @ skew / (1 + ray[2])
        world[:, t, sites.NUMBERS] = usual_depths((places[t] - places[t, sites.TORSO[2:]].mean(0)) @ turn)
    return Landmarks(image, world, np.ones((2, length), bool)), joints.numpy()


def test_a_known_motion_is_found(body: BodyModel) -> None:
    landmarks, truth = observed(body, torch.zeros(10))
    fit = fit_poses(landmarks, K, FPS, body)
    assert fit.valid.all()
    assert mpjpe(fit.joints, truth) < 35
    assert scaled_global_mpjpe(fit.joints, truth) < 40
    assert np.nanmax(fit.reprojection) < 4
    posed = body.articulate(*(torch.from_numpy(a).float() for a in (fit.poses, fit.trans, fit.betas)))[1]
    np.testing.assert_allclose(posed.numpy(), fit.joints, atol=1e-4)


def test_a_known_height_is_kept_and_gives_the_distance(body: BodyModel) -> None:
    tall = with_height(body, torch.zeros(10), 1.95)
    landmarks, truth = observed(body, tall)
    fit = fit_poses(landmarks, K, FPS, body, height=1.95)
    assert fit.height == pytest.approx(1.95, abs=1e-3)
    assert float(standing_height(body, torch.from_numpy(fit.betas).float())) == pytest.approx(1.95, abs=1e-3)
    guessed = fit_poses(landmarks, K, FPS, body)
    assert global_mpjpe(fit.joints, truth) < 60 < global_mpjpe(guessed.joints, truth)


def test_gaps_are_bridged_or_held(body: BodyModel) -> None:
    landmarks, truth = observed(body, torch.zeros(10), 40)
    valid = landmarks.valid.copy()
    valid[:, 5:9] = False
    valid[:, 14:34] = False
    landmarks.image[~valid] = landmarks.world[~valid] = np.nan
    fit = fit_poses(Landmarks(landmarks.image, landmarks.world, valid), K, FPS, body, steps=150)
    np.testing.assert_array_equal(fit.valid, valid[0])
    assert all(np.isfinite(a).all() for a in (fit.poses, fit.trans, fit.betas, fit.joints))
    assert mpjpe(fit.joints[5:9], truth[5:9]) < 80
    np.testing.assert_array_equal(fit.joints[14:24], np.repeat(fit.joints[13:14], 10, 0))
    np.testing.assert_array_equal(np.isnan(fit.reprojection), ~fit.valid)


def test_single_bad_frames_do_little_harm(body: BodyModel) -> None:
    landmarks, truth = observed(body, torch.zeros(10))
    landmarks.image[:, 12, :, :2] += 150
    fit = fit_poses(landmarks, K, FPS, body)
    others = np.abs(np.arange(LENGTH) - 12) > 1
    assert mpjpe(fit.joints[others], truth[others]) < 55
    assert mpjpe(fit.joints[~others], truth[~others]) < 120


def test_who_turns_shows_the_depth_of_limbs(body: BodyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    landmarks, truth = observed(body, torch.zeros(10), 24, about_turn)
    shoulders = landmarks.world[:, :, 11:13, 2].mean(-1, keepdims=True)
    landmarks.world[:, :, 13:23, 2] = shoulders + 0.4 * (landmarks.world[:, :, 13:23, 2] - shoulders)
    arms = [JOINT_NAMES.index(f"{side}_{name}") for side in ("left", "right") for name in ("elbow", "wrist")]
    steady = mpjpe_errors(fit_poses(landmarks, K, FPS, body).joints, truth)[:, arms].mean()
    monkeypatch.setattr(inverse_kinematics, "STEADINESS", 0.0)
    free = mpjpe_errors(fit_poses(landmarks, K, FPS, body).joints, truth)[:, arms].mean()
    assert steady < 0.5 * free


def test_the_fit_is_repeatable(body: BodyModel) -> None:
    landmarks, _ = observed(body, torch.zeros(10), 8)
    first, second = (fit_poses(landmarks, K, FPS, body, steps=30) for _ in range(2))
    np.testing.assert_array_equal(first.poses, second.poses)


@pytest.mark.parametrize("length", [1, 2])
def test_short_clips_are_fitted(body: BodyModel, length: int) -> None:
    landmarks, truth = observed(body, torch.zeros(10), length)
    assert mpjpe(fit_poses(landmarks, K, FPS, body).joints, truth) < 60


def test_nobody_seen_is_refused(body: BodyModel) -> None:
    landmarks, _ = observed(body, torch.zeros(10), 4)
    unseen = Landmarks(landmarks.image, landmarks.world, np.zeros((2, 4), bool))
    with pytest.raises(ValueError, match="no frame"):
        fit_poses(unseen, K, FPS, body)


def test_progress_reaches_its_total(body: BodyModel) -> None:
    landmarks, _ = observed(body, torch.zeros(10), 4)
    told: list[tuple[int, int]] = []
    fit_poses(landmarks, K, FPS, body, steps=40, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)
