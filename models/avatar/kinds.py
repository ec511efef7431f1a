"""Initial poses of the wrong kind: left taken for right or front for back, in some of the frames.

Such a pose lies in another valley of the loss, and gradients do not leave a valley. The body then jumps at
both ends of these frames, and does not once they are put right.
"""

import torch
from torch import Tensor

from models.avatar.screening import in_words
from models.body import BodyModel
from models.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from models.sequence import steady_path

KINDS = ("as given", "legs swapped", "arms swapped", "limbs swapped", "legs mirrored",
         "all mirrored", "reversed in depth", "turned by half")  # fmt: skip
# In the clip's usual acceleration: what has to be gained by every changed frame, and every change of kind.
RELUCTANCE, CHANGE = 0.3, 1.0
JITTER = 0.01  # metres a frame squared

_LEGS = [1, 2, 4, 5, 7, 8, 10, 11]
_ARMS = ([16, 18, 20, 22], [17, 19, 21, 23])
_COLLARS = (13, 14)
_OTHER_SIDE = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22]
_ACROSS = torch.tensor([-1.0, 1.0, 1.0])  # mirrors the body's left and right
_ARM_TURN = torch.tensor([-1.0, -1.0, 1.0])  # from a left arm's axes to a right one's: x out, y the hinge


def put_right(poses: Tensor, trans: Tensor, betas: Tensor, body: BodyModel) -> tuple[Tensor, dict[int, str]]:
    """The poses in the kinds that make the motion smoothest.

    Args:
        poses: (T,72), trans: (T,3), betas: (10,): a motion in camera space.
        body: whose motion it is.

    Returns:
        Poses (T,72), and the kind by frame of those that were changed.
    """
    rotations = axis_angle_to_matrix(poses.reshape(-1, 24, 3))
    pelvis = trans + body.shaped_joints(betas)[0]
    kinds = alternatives(rotations, torch.nn.functional.normalize(pelvis, dim=-1))
    here = pelvis.new_zeros(kinds.shape[0] * kinds.shape[1], 3)
    joints = body.articulate(kinds.flatten(0, 1), here, betas)[1].unflatten(0, kinds.shape[:2])
    chosen = steady_path(joints - joints[:, :, :1], JITTER**2, RELUCTANCE, CHANGE).to(poses.device)
    changed = chosen.nonzero()[:, 0]
    poses = poses.clone()
    poses[changed] = matrix_to_axis_angle(kinds[changed, chosen[changed]]).flatten(1)
    return poses, {t: KINDS[int(chosen[t])] for t in changed.tolist()}


def alternatives(rotations: Tensor, rays: Tensor) -> Tensor:
    """Every frame's pose in each of KINDS.

    Args:
        rotations: (T,24,3,3) relative to the parents', the root's to the camera.
        rays: (T,3) unit vectors from the camera to the pelvis.

    Returns:
        (T,len(KINDS),24,3,3). "swapped" exchanges the places of limbs in space; "mirrored" the angles of the
        joints; "reversed in depth" looks the same from the camera, but for what hides what.
    """
    legs, mirrored = _legs_swapped(rotations), _conjugated(rotations[:, _OTHER_SIDE], _ACROSS)
    parts = []
    for joints in (_LEGS, slice(1, None)):
        parts.append(rotations.clone())
        parts[-1][:, joints] = mirrored[:, joints]
    towards = torch.eye(3).to(rays) - 2 * rays[:, :, None] * rays[:, None]
    mirrored[:, 0] = towards @ rotations[:, 0] * _ACROSS.to(rotations)
    turned = rotations.clone()
    turned[:, 0] = rotations[:, 0] * rotations.new_tensor([-1.0, 1.0, -1.0])
    kinds = (rotations, legs, _arms_swapped(rotations), _arms_swapped(legs), *parts, mirrored, turned)
    return torch.stack(kinds, 1)


def told(changed: dict[int, str]) -> str:
    """What `put_right` did, in words."""
    frames = in_words(sorted(changed))
    return f"The initial poses had left and right, or front and back, exchanged in {frames}; put right."


def _conjugated(rotations: Tensor, signs: Tensor) -> Tensor:
    """D R D of rotations (...,3,3), D diagonal of signs (3,)."""
    signs = signs.to(rotations)
    return signs[:, None] * rotations * signs


def _legs_swapped(rotations: Tensor) -> Tensor:
    """Each leg where the other one was."""
    swapped = rotations.clone()
    swapped[:, _LEGS] = rotations[:, [_OTHER_SIDE[joint] for joint in _LEGS]]
    return swapped


def _arms_swapped(rotations: Tensor) -> Tensor:
    """Each arm where the other one was; the collars stay."""
    swapped = rotations.clone()
    turn = _ARM_TURN.to(rotations)
    for (arm, other), (collar, across) in zip((_ARMS, _ARMS[::-1]), (_COLLARS, _COLLARS[::-1]), strict=True):
        upper = rotations[:, collar].mT @ rotations[:, across] @ rotations[:, other[0]]
        swapped[:, arm[0]] = upper * turn
        swapped[:, arm[1:]] = _conjugated(rotations[:, other[1:]], turn)
    return swapped
