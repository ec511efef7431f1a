"""Motions as AMASS has them (Mahmood et al. 2019): an npz of the poses of a body of the SMPL family, Z up.

The world's axes are x right, y away from the camera and z up, so that somebody who faces the camera faces -y,
as Blender's front view expects. `trans` is smplx's: posed body = LBS(poses) + trans, the root turning about
the model's own rest pelvis.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.body import SHAPE_COUNT, Motion, load_embedded_body

Array = NDArray[np.float64]

Model = Literal["smplh", "smplx"]
WIDTHS = {"smpl": 72, "smplh": 156, "smplx": 165}
"""Numbers in a pose: 24, 52 and 55 joints; the first 22 are the same in all three."""
REST_PELVIS = {
    "smpl": (-0.0018, -0.2233, 0.0282),
    "smplh": (-0.0018, -0.2233, 0.0282),
    "smplx": (0.0031, -0.3514, 0.0120),
}
"""The rest pelvis of each model's mean body, metres, from the models' published joint regressors."""
BODY_JOINTS = 22
Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
"""From camera space (x right, y down, z forward) to x right, y away, z up."""

_BETAS = 16  # as AMASS has them


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
    trans = motion.pelvis(_own_rest_pelvis(motion)) @ Z_UP.T - REST_PELVIS[model]
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


def _own_rest_pelvis(motion: Motion) -> Array:
    """(3,) of the body that `motion.trans` speaks of; the mean one's where only SMPL's own files know it."""
    if motion.body == "smpl":
        return np.asarray(REST_PELVIS["smpl"])
    body = load_embedded_body()
    shift = body.joint_dirs[0].numpy() @ motion.betas
    return np.asarray(body.joint_template[0].numpy() + shift, np.float64)
