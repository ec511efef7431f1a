"""How far estimated 3D joints are from the true ones: the errors usual in human pose estimation.

Joints are (T, J, 3) in camera space, metres; every error is in millimetres: of each frame and joint where the
function's name ends in `_errors`, else the mean over both. Frames without an estimate are the caller's to
leave out.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Joints = NDArray[np.floating]
MILLIMETRES = 1000.0


def _distance(a: Joints, b: Joints) -> Array:
    return np.asarray(np.linalg.norm(a - b, axis=-1) * MILLIMETRES)


def _check(predicted: ArrayLike, truth: ArrayLike) -> tuple[Array, Array]:
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
    return np.asarray(scale[:, None, None] * np.einsum("tij,tkj->tki", rotation, centred) + to_mean)


def mpjpe_errors(predicted: Joints, truth: Joints) -> Array:
    """Errors (T, J) with the pelvis (joint 0) of both moved to the origin.

    Args:
        predicted: (T, J, 3), joint 0 the pelvis.
        truth: (T, J, 3).
    """
    predicted, truth = _check(predicted, truth)
    return _distance(predicted - predicted[:, :1], truth - truth[:, :1])


def pa_mpjpe_errors(predicted: Joints, truth: Joints) -> Array:
    """Errors (T, J) after a similarity alignment of every frame (Procrustes)."""
    return _distance(align_similarity(predicted, truth), np.asarray(truth, np.float64))


def global_mpjpe_errors(predicted: Joints, truth: Joints) -> Array:
    """Errors (T, J) in camera space, nothing aligned."""
    return _distance(*_check(predicted, truth))


def best_scale(predicted: Joints, truth: Joints) -> float:
    """The one factor by which the predicted joints of the clip, multiplied about the camera, fit best."""
    predicted, truth = _check(predicted, truth)
    power = float((predicted**2).sum())
    return float((predicted * truth).sum()) / power if power > 0 else 1.0


def scaled_global_mpjpe_errors(predicted: Joints, truth: Joints) -> Array:
    """Camera-space errors (T, J) once all predicted joints of the clip are multiplied by `best_scale`.

    A single camera cannot tell a tall person far away from a short one near by; this error leaves that out.
    """
    return _distance(best_scale(predicted, truth) * np.asarray(predicted, np.float64), np.asarray(truth))


def acceleration_errors(predicted: Joints, truth: Joints) -> Array:
    """Norms (T - 2, J) of the difference of the joints' second differences, millimetres per frame squared.

    Args:
        predicted: (T, J, 3), consecutive frames, T >= 3.
        truth: (T, J, 3).

    Raises:
        ValueError: fewer than three frames.
    """
    predicted, truth = _check(predicted, truth)
    if len(predicted) < 3:
        raise ValueError("acceleration needs at least three frames")
    return _distance(np.diff(predicted, 2, axis=0), np.diff(truth, 2, axis=0))


def vertex_errors(predicted: Joints, truth: Joints, predicted_pelvis: Joints, true_pelvis: Joints) -> Array:
    """Errors (T, V) of the mesh's vertices with the pelvis of both moved to the origin (PVE, also MPVPE).

    Args:
        predicted, truth: (T, V, 3) corresponding vertices, each of its own body.
        predicted_pelvis, true_pelvis: (T, 3).
    """
    predicted, truth = _check(predicted, truth)
    return _distance(
        predicted - np.asarray(predicted_pelvis)[:, None], truth - np.asarray(true_pelvis)[:, None]
    )


def mpjpe(predicted: Joints, truth: Joints) -> float:
    """Mean of `mpjpe_errors`."""
    return float(mpjpe_errors(predicted, truth).mean())


def pa_mpjpe(predicted: Joints, truth: Joints) -> float:
    """Mean of `pa_mpjpe_errors`."""
    return float(pa_mpjpe_errors(predicted, truth).mean())


def global_mpjpe(predicted: Joints, truth: Joints) -> float:
    """Mean of `global_mpjpe_errors`."""
    return float(global_mpjpe_errors(predicted, truth).mean())


def scaled_global_mpjpe(predicted: Joints, truth: Joints) -> float:
    """Mean of `scaled_global_mpjpe_errors`."""
    return float(scaled_global_mpjpe_errors(predicted, truth).mean())


def acceleration_error(predicted: Joints, truth: Joints) -> float:
    """Mean of `acceleration_errors`."""
    return float(acceleration_errors(predicted, truth).mean())
