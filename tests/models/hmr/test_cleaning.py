"""Cleaning: wrong frames are found and replaced, jitter is less, fast motion stays as it is."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.hmr.cleaning import clean_positions, clean_rotations, smooth

FPS = 15.0


def motion(count: int, joints: int = 3) -> Rotation:
    """(T * J,) joints that swing at different speeds, the first turning round twice as well."""
    time = np.arange(count) / FPS
    vectors = np.zeros((count, joints, 3))
    for joint in range(joints):
        vectors[:, joint, joint % 3] = 0.7 * np.sin(2 * np.pi * (0.5 + 0.5 * joint) * time + joint)
    vectors[:, 0, 1] += 4 * np.pi * time / time[-1]
    return Rotation.from_rotvec(vectors.reshape(-1, 3))


def matrices(rotations: Rotation, joints: int = 3) -> np.ndarray:
    return rotations.as_matrix().reshape(-1, joints, 3, 3)


def degrees(found: np.ndarray, true: Rotation) -> np.ndarray:
    apart = Rotation.from_matrix(found.reshape(-1, 3, 3)).inv() * true
    return np.degrees(apart.magnitude()).reshape(found.shape[:2])


def test_runs_of_wrong_frames_are_replaced() -> None:
    true = motion(90)
    wrong = np.zeros((90, 3), bool)
    wrong[10, 0] = wrong[20:24, 0] = wrong[40:42, 1] = wrong[60, :] = (
        True  # the first joint turned right round
    )
    flip = Rotation.from_rotvec([0, np.pi, 0]).as_matrix()
    estimates = matrices(true)
    estimates[wrong] = estimates[wrong] @ flip
    cleaned, replaced = clean_rotations(estimates, np.ones(90, bool), FPS)
    np.testing.assert_array_equal(replaced, wrong)
    assert degrees(cleaned, true).max() < 12


def test_a_wrong_beginning_and_end_hold_the_nearest() -> None:
    estimates = np.tile(np.eye(3), (30, 1, 1, 1))
    flip = Rotation.from_rotvec([0, 3.0, 0]).as_matrix()
    estimates[:2, 0] = estimates[-1, 0] = flip
    cleaned, replaced = clean_rotations(estimates, np.ones(30, bool), FPS)
    assert np.flatnonzero(replaced[:, 0]).tolist() == [0, 1, 29]
    np.testing.assert_allclose(cleaned, np.tile(np.eye(3), (30, 1, 1, 1)), atol=1e-6)


@pytest.mark.parametrize("fps", [10.0, 15.0, 30.0])
def test_fast_motion_stays(fps: float) -> None:
    """An arm that waves with 60 degrees to either side, twice a second; a spin of a turn a second; a blow."""
    count = int(4 * fps)
    time = np.arange(count) / fps
    vectors = np.zeros((count, 3, 3))
    vectors[:, 0, 2] = np.radians(60) * np.sin(4 * np.pi * time)
    vectors[:, 1, 1] = 2 * np.pi * time
    vectors[:, 2, 0] = 1.4 * np.exp(-(((time - 2) / 0.12) ** 2))
    true = Rotation.from_rotvec(vectors.reshape(-1, 3))
    cleaned, replaced = clean_rotations(matrices(true), np.ones(count, bool), fps)
    assert not replaced.any()
    assert np.quantile(degrees(cleaned, true), 0.95) < 5


def test_jitter_is_smoothed() -> None:
    generator = np.random.default_rng(0)
    for fps, less in ((15.0, 0.9), (30.0, 0.6)):
        still = Rotation.from_rotvec(np.tile([0.3, 0.2, 0.1], (240, 1)))
        noisy = still * Rotation.from_rotvec(generator.normal(0, 0.05, (240, 3)))
        cleaned, _ = clean_rotations(matrices(noisy, 1), np.ones(240, bool), fps)
        assert degrees(cleaned, still).mean() < less * degrees(matrices(noisy, 1), still).mean()
        np.testing.assert_allclose(
            cleaned @ cleaned.swapaxes(-1, -2), np.tile(np.eye(3), (240, 1, 1, 1)), atol=1e-6
        )


def test_unknown_frames_are_interpolated() -> None:
    true = motion(60)
    known = np.ones(60, bool)
    known[[0, 1, 20, 21, 22, 59]] = False
    estimates = matrices(true)
    estimates[~known] = np.nan
    cleaned, replaced = clean_rotations(estimates, known, FPS)
    assert not replaced.any()
    assert degrees(cleaned, true)[20:23].max() < 20
    assert degrees(cleaned, true)[2:19].max() < 12
    np.testing.assert_allclose(cleaned[0], cleaned[2], atol=0.3)


def test_a_single_known_frame_is_held() -> None:
    estimates = np.full((5, 2, 3, 3), np.nan)
    turn = Rotation.from_rotvec([0.1, 0.2, 0.3]).as_matrix()
    estimates[3] = turn
    cleaned, _ = clean_rotations(estimates, np.arange(5) == 3, FPS)
    np.testing.assert_allclose(cleaned, np.tile(turn, (5, 2, 1, 1)), atol=1e-6)


def test_positions() -> None:
    time = np.arange(60) / FPS
    true = np.stack([np.sin(2 * time), np.full(60, 0.2), 4 + 0.5 * np.sin(time)], -1)
    points = true * np.random.default_rng(0).normal(
        1, 0.03, (60, 1)
    )  # the distance is what a crop tells worst
    points[20] *= 1.7
    points[40, 0] += 2
    known = np.ones(60, bool)
    known[30] = False
    points[30] = np.nan
    cleaned, replaced = clean_positions(points, known, FPS)
    assert np.flatnonzero(replaced).tolist() == [20, 40]
    error = np.linalg.norm(cleaned - true, axis=-1)
    assert error.mean() < 0.7 * np.nanmean(np.linalg.norm(points - true, axis=-1)[~replaced])
    assert error.max() < 0.2


def test_smoothing_halves_at_the_cutoff_and_leaves_lines() -> None:
    time = np.arange(600) / 30
    np.testing.assert_allclose(smooth(np.stack([3 * time - 1], -1), 2.0, 30.0)[:, 0], 3 * time - 1, atol=1e-8)
    wave = np.sin(2 * np.pi * 2.0 * time)[:, None]
    middle = slice(150, 450)
    assert np.ptp(smooth(wave, 2.0, 30.0)[middle]) == pytest.approx(np.ptp(wave[middle]) / 2, rel=0.02)
    np.testing.assert_array_equal(smooth(wave, 20.0, 30.0), wave)
    np.testing.assert_array_equal(smooth(wave[:2], 1.0, 30.0), wave[:2])
