"""The motion to start from: checked, and filled in where no pose was estimated."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from models.avatar.observations import Evidence
from models.errors import InputError

NEAREST = 0.2  # metres; nobody is filmed whole from nearer
LARGEST_COEFFICIENT = 5.0  # of the shape, in standard deviations of the population


def check(evidence: Evidence) -> None:
    """Refuses evidence that is not what it says.

    Raises:
        InputError: shapes that do not fit, values that are no numbers, a person behind the camera.
    """
    count = len(evidence)
    shapes = {"poses": (count, 72), "trans": (count, 3), "betas": (10,), "K": (3, 3), "valid": (count,)}
    shapes["posed"] = (count,)
    for name, shape in shapes.items():
        if getattr(evidence, name).shape != shape:
            raise InputError(
                f"`{name}` has shape {getattr(evidence, name).shape}, expected {shape}.",
                "Give motion, masks and pictures of the same frames.",
            )
    if len(evidence.masks) != count:
        raise InputError(f"There are {count} pictures and {len(evidence.masks)} masks.", "Give one for each.")
    posed = evidence.posed
    numbers = (evidence.poses[posed], evidence.trans[posed], evidence.betas, evidence.K, [evidence.fps])
    if not all(np.isfinite(a).all() for a in numbers):
        raise InputError("The initial motion holds values that are not finite numbers.", "Estimate it again.")
    if not (evidence.K[0, 0] > 0 and evidence.K[1, 1] > 0):
        raise InputError("K has a focal length that is not positive.", "Give the pictures' true intrinsics.")
    if not evidence.fps > 0:
        raise InputError(f"A frame rate of {evidence.fps} makes no sense.", "Give the frames' true rate.")
    if not posed.any():
        raise InputError("No frame has an initial pose.", "Give a motion with at least a few valid frames.")
    if (evidence.trans[posed, 2] < NEAREST).any():
        raise InputError(
            "The initial motion puts the person behind the camera or into it.",
            "Poses must be in camera space: x right, y down, z forward, metres.",
        )


def believable_shape(betas: torch.Tensor) -> torch.Tensor:
    """The shape coefficients (10,), or zeros, the mean shape, where one of them is nobody's."""
    return betas if betas.abs().max() <= LARGEST_COEFFICIENT else torch.zeros_like(betas)


def filled_in(evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor]:
    """Poses (T,72) and trans (T,3); frames without an estimate as `between` fills them."""
    return between(evidence.poses, evidence.trans, evidence.posed)


def between(
    poses: NDArray[np.floating], trans: NDArray[np.floating], known: NDArray[np.bool_]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Poses (T,72) and trans (T,3); frames that are not `known` (T,) lie on the shortest way between their
    neighbours, before the first and after the last one they stand still."""
    rows = np.flatnonzero(known)
    frames = np.clip(np.arange(len(known)), rows[0], rows[-1])
    if len(rows) == 1:
        poses, trans = poses[frames], trans[frames]
    else:
        joints = poses[rows].reshape(-1, 24, 3)
        trans = np.stack([np.interp(frames, rows, trans[rows, i]) for i in range(3)], axis=1)
        poses = np.concatenate([_turned(rows, joints[:, j], frames) for j in range(24)], axis=1)
    return torch.from_numpy(poses.astype(np.float32)), torch.from_numpy(trans.astype(np.float32))


def _turned(
    known: NDArray[np.int64], vectors: NDArray[np.floating], frames: NDArray[np.int64]
) -> NDArray[np.floating]:
    return np.asarray(Slerp(known, Rotation.from_rotvec(vectors))(frames).as_rotvec())
