"""How far estimated 3D joints are from the true ones: the errors usual in human pose estimation.

Joints are (T, J, 3) in camera space, metres; every error is in millimetres, a mean over frames and joints.
Frames without an estimate are the caller's to leave out.
"""

import numpy as np
from numpy.typing import NDArray

Joints = NDArray[np.floating]
MILLIMETRES = 1000.0


def _mean_distance(a: Joints, b: Joints) -> float:
    return float(np.linalg.norm(a - b, axis=-1).mean() * MILLIMETRES)


def _check(predicted: Joints, truth: Joints) -> tuple[Joints, Joints]:
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or predicted.ndim != 3 or predicted.shape[-1] != 3:
        raise ValueError(
            f"expected two arrays of one shape (T, J, 3), got {predicted.shape} and {truth.shape}"
        )
    return predicted, truth


def align_similarity(predicted: Joints, truth: Joints) -> Joints:
    """Each frame's predicted joints under the similarity transform that brings them closest to the truth.

    Args:
        predicted: (T, J, 3).
        truth: (T, J, 3).

    Returns:
        (T, J, 3). Least squares over rotation, scale and translation: S. Umeyama, "Least-squares estimation
        of transformation parameters between two point patterns", PAMI 1991.
    """
    predicted, truth = _check(predicted, truth)
    from_mean, to_mean = predicted.mean(1, keepdims=True), truth.mean(1, keepdims=True)
    centred = predicted - from_mean
    u, singular, vt = np.linalg.svd(np.einsum("tji,tjk->tik", truth - to_mean, centred))
    signs = np.ones_like(singular)
    signs[:, -1] = np.sign(np.linalg.det(u @ vt))
    rotation = np.einsum("tij,tj,tjk->tik", u, signs, vt)
    variance = (centred**2).sum((1, 2))
    scale = (singular * signs).sum(1) / np.maximum(variance, np.finfo(float).tiny)
    return scale[:, None, None] * np.einsum("tij,tkj->tki", rotation, centred) + to_mean


def mpjpe(predicted: Joints, truth: Joints) -> float:
    """Mean per-joint position error with the pelvis (joint 0) of both moved to the origin.

    Args:
        predicted: (T, J, 3), joint 0 the pelvis.
        truth: (T, J, 3).
    """
    predicted, truth = _check(predicted, truth)
    return _mean_distance(predicted - predicted[:, :1], truth - truth[:, :1])


def pa_mpjpe(predicted: Joints, truth: Joints) -> float:
    """Mean per-joint position error after a similarity alignment of every frame (Procrustes).

    Args:
        predicted: (T, J, 3).
        truth: (T, J, 3).
    """
    return _mean_distance(align_similarity(predicted, truth), truth)


def global_mpjpe(predicted: Joints, truth: Joints) -> float:
    """Mean per-joint position error in camera space, nothing aligned.

    Args:
        predicted: (T, J, 3).
        truth: (T, J, 3).
    """
    return _mean_distance(*_check(predicted, truth))


def scaled_global_mpjpe(predicted: Joints, truth: Joints) -> float:
    """Camera-space error once all predicted joints of the clip are multiplied by the best one factor.

    A single camera cannot tell a tall person far away from a short one near by; this error leaves that out.

    Args:
        predicted: (T, J, 3).
        truth: (T, J, 3).
    """
    predicted, truth = _check(predicted, truth)
    power = (predicted**2).sum()
    scale = (predicted * truth).sum() / power if power > 0 else 1.0
    return _mean_distance(scale * predicted, truth)


def acceleration_error(predicted: Joints, truth: Joints) -> float:
    """Mean norm of the difference of the joints' second differences, in millimetres per frame squared.

    Args:
        predicted: (T, J, 3), consecutive frames, T >= 3.
        truth: (T, J, 3).

    Raises:
        ValueError: fewer than three frames.
    """
    predicted, truth = _check(predicted, truth)
    if len(predicted) < 3:
        raise ValueError("acceleration needs at least three frames")
    return _mean_distance(np.diff(predicted, 2, axis=0), np.diff(truth, 2, axis=0))
