"""Estimates of single frames into the motion of one body: one shape, cleaned rotations, cleaned positions."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.body import BodyModel
from models.body.rotations import matrix_to_axis_angle
from models.body.transfer import SMPL_PELVIS, SMPL_STATURE, shape_of_stature
from models.hmr.cleaning import clean_positions, clean_rotations
from models.hmr.hmr2.estimation import Estimates
from models.hmr.inverse_kinematics import standing_height, with_height

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recovered:
    """T frames of a body in camera space.

    Attributes:
        poses: (T, 72) axis-angle radians.
        trans: (T, 3) metres.
        betas: (10,).
        joints: (T, 24, 3) metres.
        height: metres, standing.
        replaced: share of the joint rotations that were taken for wrong.
    """

    poses: Array
    trans: Array
    betas: Array
    joints: Array
    height: float
    replaced: float


def recover(estimates: Estimates, fps: float, body: BodyModel, height: float | None = None) -> Recovered:
    """The motion that single frames' estimates tell of.

    SMPL's own body takes the median of their shapes. The embedded body has shape coefficients of another
    meaning: it takes an average shape of the stature of SMPL's mean body, which the network's sizes and
    distances are about. A known height scales size and distance together, so that the picture stays the same.

    Args:
        estimates: with at least one known frame.
        fps: frames a second, evenly spaced.
        body: SMPL's own or the embedded one.
        height: the person's, metres, standing.
    """
    rotations, wrong = clean_rotations(estimates.rotations, estimates.known, fps)
    if body.kind == "smpl":
        betas = torch.from_numpy(np.median(estimates.betas[estimates.known], axis=0)).to(body.v_template)
        pelvis = body.shaped_joints(betas)[0].double().numpy()
    else:
        betas, pelvis = shape_of_stature(body, SMPL_STATURE), SMPL_PELVIS
    places = estimates.origins + pelvis
    if height:
        tall = with_height(body, betas, height)
        places *= float(standing_height(body, tall) / standing_height(body, betas))
        betas = tall
    pelvises, _ = clean_positions(places, estimates.known, fps)
    matrices = torch.from_numpy(rotations).to(body.v_template)
    trans = torch.from_numpy(pelvises).to(body.v_template) - body.shaped_joints(betas)[0]
    joints = body.articulate(matrices, trans, betas)[1]
    return Recovered(
        poses=matrix_to_axis_angle(matrices.double()).flatten(1).numpy(),
        trans=trans.double().numpy(),
        betas=betas.double().numpy(),
        joints=joints.double().numpy(),
        height=float(standing_height(body, betas)),
        replaced=float(wrong[estimates.known].mean()),
    )
