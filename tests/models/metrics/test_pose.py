import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.metrics import pose

TRUTH = np.random.default_rng(0).normal(size=(6, 24, 3)) + np.array([0, 0, 4])


def test_every_error_of_the_truth_is_zero() -> None:
    for error in (
        pose.mpjpe,
        pose.pa_mpjpe,
        pose.global_mpjpe,
        pose.scaled_global_mpjpe,
        pose.acceleration_error,
    ):
        assert error(TRUTH, TRUTH) == pytest.approx(0, abs=1e-6)


def test_mpjpe_leaves_out_translation_only() -> None:
    shifted = TRUTH + np.array([0.1, 0, 0])
    assert pose.mpjpe(shifted, TRUTH) == pytest.approx(0, abs=1e-6)
    assert pose.global_mpjpe(shifted, TRUTH) == pytest.approx(100)


def test_pa_mpjpe_leaves_out_similarities_but_no_reflection() -> None:
    rotations = Rotation.random(6, rng=1).as_matrix()
    moved = 1.3 * np.einsum("tij,tkj->tki", rotations, TRUTH) + np.array([1, 2, 3])
    assert pose.pa_mpjpe(moved, TRUTH) == pytest.approx(0, abs=1e-6)
    assert pose.pa_mpjpe(TRUTH * [-1, 1, 1], TRUTH) > 100


def test_scaled_global_mpjpe_leaves_out_one_scale_for_the_clip() -> None:
    assert pose.scaled_global_mpjpe(0.8 * TRUTH, TRUTH) == pytest.approx(0, abs=1e-6)
    per_frame = TRUTH * np.linspace(0.8, 1.2, 6)[:, None, None]
    assert pose.scaled_global_mpjpe(per_frame, TRUTH) > 100


def test_acceleration_error_sees_jitter_but_no_drift() -> None:
    drift = TRUTH + np.arange(6)[:, None, None] * 0.05
    assert pose.acceleration_error(drift, TRUTH) == pytest.approx(0, abs=1e-6)
    jitter = TRUTH.copy()
    jitter[3, :, 0] += 0.01
    assert pose.acceleration_error(jitter, TRUTH) == pytest.approx(10 * (1 + 2 + 1) / 4)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        pose.mpjpe(TRUTH[:3], TRUTH)
    with pytest.raises(ValueError, match="three frames"):
        pose.acceleration_error(TRUTH[:2], TRUTH[:2])


def test_errors_are_of_each_frame_and_joint() -> None:
    moved = TRUTH.copy()
    moved[2, 5, 1] += 0.03
    expected = np.zeros((6, 24))
    expected[2, 5] = 30
    assert pose.mpjpe_errors(moved, TRUTH) == pytest.approx(expected, abs=1e-6)
    assert pose.global_mpjpe_errors(moved, TRUTH) == pytest.approx(expected, abs=1e-6)
    assert pose.mpjpe(moved, TRUTH) == pytest.approx(30 / (6 * 24))
    assert pose.acceleration_errors(moved, TRUTH)[:, 5] == pytest.approx([30, 60, 30, 0], abs=1e-6)


def test_the_pelvis_carries_its_error_to_all_others() -> None:
    moved = TRUTH.copy()
    moved[:, 0, 2] += 0.01
    assert pose.mpjpe_errors(moved, TRUTH)[:, 1:] == pytest.approx(10)
    assert pose.mpjpe_errors(moved, TRUTH)[:, 0] == pytest.approx(0)
    assert pose.global_mpjpe_errors(moved, TRUTH)[:, 0] == pytest.approx(10)


def test_the_best_scale_is_that_of_the_clip() -> None:
    assert pose.best_scale(0.8 * TRUTH, TRUTH) == pytest.approx(1.25)
    assert pose.best_scale(np.zeros((1, 24, 3)), TRUTH[:1]) == 1
    assert pose.scaled_global_mpjpe_errors(0.8 * TRUTH, TRUTH).shape == (6, 24)


def test_vertex_errors_leave_out_where_the_pelvis_is() -> None:
    vertices = np.random.default_rng(1).normal(size=(2, 5, 3))
    moved = vertices + np.array([1, 2, 3])
    moved[1, 4] += [0.003, 0.004, 0]
    pelvis, moved_pelvis = np.zeros((2, 3)), np.tile([1.0, 2, 3], (2, 1))
    errors = pose.vertex_errors(moved, vertices, moved_pelvis, pelvis)
    expected = np.zeros((2, 5))
    expected[1, 4] = 5
    assert errors == pytest.approx(expected, abs=1e-6)
