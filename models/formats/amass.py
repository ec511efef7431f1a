"""Motions as AMASS has them (Mahmood et al. 2019): an npz of the poses of a body of the SMPL family, Z up.

The world's axes are x right, y away from the camera and z up, so that somebody who faces the camera faces -y,
as Blender's front view expects. `trans` is smplx's: posed body = LBS(poses) + trans, the root turning about
the model's own rest pelvis.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from models.body import SHAPE_COUNT, BodyKind, Motion
from models.body.motion import LARGEST_ANGLE, RATES
from models.body.transfer import SMPL_PELVIS
from models.errors import InputError
from models.formats.foreign import FARTHEST, motion_on
from models.npz import Unreadable, names_in, read_npz

Array = NDArray[np.float64]

Model = Literal["smplh", "smplx"]
WIDTHS = {"smpl": 72, "smplh": 156, "smplx": 165}
"""Numbers in a pose: 24, 52 and 55 joints; the first 22 are the same in all three."""
REST_PELVIS = {
    "smpl": SMPL_PELVIS,
    "smplh": SMPL_PELVIS,
    "smplx": np.array([0.0031, -0.3514, 0.0120]),
}
"""The rest pelvis of each model's mean body, metres, from the models' published joint regressors."""
BODY_JOINTS = 22
Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""From camera space (x right, y down, z forward) to x right, y away, z up."""

_BETAS = 16  # as AMASS has them
_RATES = ("mocap_framerate", "mocap_frame_rate")


def write_amass(path: Path, motion: Motion, model: Model = "smplx") -> None:
    """Writes all frames of a motion for programs that read AMASS, such as Meshcapade's Blender add-on.

    The pelvis is where the motion has it, if the reader's body is the model's mean one. Fingers, jaw and eyes
    rest; the turn of SMPL's two hands has no place there. The shape is written for motions of the SMPL body
    and for SMPL-H alone: other models' coefficients mean other shapes, and zeros are written instead.

    Args:
        path: replaced if it exists; should end in .npz.
        motion: in camera space.
        model: which body will read it. The add-on tells them by the number of joints.

    Raises:
        OSError: the file cannot be written.
    """
    rotations = Rotation.from_matrix(Z_UP) * Rotation.from_rotvec(motion.poses[:, :3].astype(np.float64))
    poses = np.zeros((len(motion), WIDTHS[model]))
    poses[:, : 3 * BODY_JOINTS] = motion.poses[:, : 3 * BODY_JOINTS]
    poses[:, :3] = rotations.as_rotvec()
    betas = np.zeros(_BETAS)
    if motion.body == "smpl" and model == "smplh":
        betas[:SHAPE_COUNT] = motion.betas
    trans = motion.pelvis(motion.rest_pelvis()) @ Z_UP.T - REST_PELVIS[model]
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            gender=np.array("neutral"),
            surface_model_type=np.array(model),
            mocap_framerate=np.array(motion.fps),
            mocap_frame_rate=np.array(motion.fps),
            betas=betas,
            num_betas=np.array(_BETAS),
            trans=trans,
            poses=poses,
        )


def read_amass(
    path: Path, rest_joints: ArrayLike, body: BodyKind = "embedded", betas: ArrayLike | None = None
) -> Motion:
    """Reads a motion of AMASS onto a skeleton of ours: the poses as they are, the pelvis where it is.

    The file's own body is taken to have the pelvis of its model's mean body; its shape is not known here.

    Args:
        path: `poses` (T, 72), (T, 156) or (T, 165), `trans` (T, 3), `mocap_framerate` or `mocap_frame_rate`.
        rest_joints: (24, 3) metres, of the skeleton to drive in its T-pose.
        body, betas: whose skeleton that is; the mean shape by default.

    Returns:
        The motion in camera space, its camera one for want of another.

    Raises:
        InputError: the file is not such a file.
    """
    poses, trans, fps = _checked(path)
    model = next(name for name, width in WIDTHS.items() if width == poses.shape[1])
    ours = np.zeros((len(poses), WIDTHS["smpl"]))
    shared = WIDTHS["smpl"] if model == "smpl" else 3 * BODY_JOINTS
    ours[:, :shared] = poses[:, :shared]
    turned = Rotation.from_matrix(Z_UP.T) * Rotation.from_rotvec(poses[:, :3])
    ours[:, :3] = turned.as_rotvec()
    pelvis = (trans + REST_PELVIS[model]) @ Z_UP
    return motion_on(rest_joints, ours, pelvis, fps, body, betas)


def is_amass(path: Path) -> bool:
    """Whether a file is an npz with AMASS' frame rate, which no other motion file has."""
    try:
        return not names_in(path).isdisjoint(_RATES)
    except (OSError, Unreadable):
        return False


def _checked(path: Path) -> tuple[Array, Array, float]:
    """Poses, translations and frames a second."""
    try:
        arrays = read_npz(path, ("poses", "trans", *_RATES))
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror or error}") from error
    except Unreadable as error:
        raise _refusal(path, f"is not a plain npz file ({error})") from error
    rate = next((arrays[name] for name in _RATES if name in arrays), None)
    if rate is None or "poses" not in arrays or "trans" not in arrays:
        raise _refusal(path, "lacks poses, trans or mocap_framerate")
    if any(array.dtype.kind not in "fiu" or not np.isfinite(array).all() for array in arrays.values()):
        raise _refusal(path, "holds values that are not finite numbers")
    poses, trans = arrays["poses"].astype(np.float64), arrays["trans"].astype(np.float64)
    if poses.ndim != 2 or poses.shape[1] not in WIDTHS.values() or not len(poses):
        raise _refusal(
            path, f"has poses of shape {poses.shape}: the skeleton is not SMPL's, SMPL-H's or SMPL-X's"
        )
    if trans.shape != (len(poses), 3):
        raise _refusal(path, f"has trans of shape {trans.shape}, expected {(len(poses), 3)}")
    if np.abs(trans).max() > FARTHEST:
        raise _refusal(path, f"has somebody {np.abs(trans).max():g} metres away")
    if rate.size != 1 or not RATES[0] <= rate.item() <= RATES[1]:
        raise _refusal(path, f"has a frame rate of {str(rate)[:40]}")
    if np.linalg.norm(poses.reshape(len(poses), -1, 3), axis=-1).max() > LARGEST_ANGLE:
        raise _refusal(path, "turns joints by more than two turns; are these degrees?")
    return poses, trans, float(rate.item())


def _refusal(path: Path, problem: str) -> InputError:
    return InputError(
        f"AMASS file {path} {problem}.",
        "It must hold poses (T,72), (T,156) or (T,165) in radians, trans (T,3) and mocap_framerate.",
    )
