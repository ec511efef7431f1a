"""Standing: the lower foot rests on a plane, no foot is below it, and the body's mass is above its support.

A picture says little about limbs that lean towards the camera or away from it; gravity does.
"""

import torch
from torch import Tensor

from models.body import JOINT_NAMES
from models.hmr.landmarks import FEET, landmark_positions
from models.placement import placed, placed_indices

CONTACT_SCALE, CONTACT_SOFTNESS = 0.2, 0.03  # metres
STANDS = 0.1  # metres: a lowest foot nearer to the plane stands on it
BALANCE_SCALE, SUPPORT_SOFTNESS = 0.1, 0.1  # metres
CONTACT_WEIGHT, BALANCE_WEIGHT, LEVEL_WEIGHT = 0.6, 0.3, 1.0

# Shares of the body's mass that move with the joints: P. de Leva, "Adjustments to Zatsiorsky-Seluyanov's
# segment inertia parameters", 1996, rounded, each segment's share halved between its two ends.
_SHARES = {
    "pelvis": 0.14, "spine1": 0.08, "spine2": 0.08, "spine3": 0.08, "neck": 0.08, "head": 0.07,
    "shoulder": 0.014, "elbow": 0.025, "wrist": 0.011, "hip": 0.068, "knee": 0.09, "ankle": 0.029,
    "foot": 0.007,
}  # fmt: skip
_MASS = torch.tensor([_SHARES.get(name.split("_")[-1], 0.0) for name in JOINT_NAMES])
_MASS /= _MASS.sum()


def level_plane(feet: Tensor) -> Tensor:
    """(4,) normal and offset of the level plane, in a camera held upright, that feet (T, S, 3) stand on."""
    return torch.stack([*feet.new_tensor([0.0, -1.0, 0.0]), feet[..., 1].amax(1).median()])


def feet_positions(transforms: Tensor, joints: Tensor) -> Tensor:
    """(B, 4, 3) heels and toes of the body posed as `BodyModel.articulate` gives it."""
    return landmark_positions(transforms, joints).index_select(-2, placed_indices(tuple(FEET), joints.device))


def standing_loss(plane: Tensor, feet: Tensor, joints: Tensor, widening: float = 1.0) -> Tensor:
    """How far the body is from standing, mean over frames, robust: somebody may jump or fall.

    Args:
        plane: (4,) upward normal of any length, and its offset in metres: n x + d is the height of x.
        feet: (B, 4, 3) as `feet_positions` gives, and
        joints: (B, 24, 3), metres.
        widening: of the robust terms' scales.
    """
    normal = torch.nn.functional.normalize(plane[:3], dim=0)
    heights = feet @ normal + plane[3]
    lowest = -CONTACT_SOFTNESS * torch.logsumexp(-heights / CONTACT_SOFTNESS, 1)
    stands = robust(lowest.square(), CONTACT_SCALE, widening).mean()
    sinks = robust(torch.relu(-heights).square(), CONTACT_SCALE, widening).sum(-1).mean()
    carries = torch.softmax(-heights / SUPPORT_SOFTNESS, 1)
    lean = torch.einsum("j,bjk->bk", placed(_MASS, joints.device, joints.dtype), joints) - torch.einsum(
        "bs,bsk->bk", carries, feet
    )
    aside = lean - (lean @ normal)[:, None] * normal
    leans = robust(aside.square().sum(-1), BALANCE_SCALE, widening).mean()
    return CONTACT_WEIGHT * (stands + sinks) + BALANCE_WEIGHT * leans


def stands(plane: Tensor, feet: Tensor) -> bool:
    """Whether the lowest of feet (B, 4, 3) is mostly on the plane (4,): it is not where the camera moves."""
    normal = torch.nn.functional.normalize(plane[:3], dim=0)
    lowest = (feet @ normal + plane[3]).amin(1)
    return bool((lowest.abs() < STANDS).float().mean() > 0.5)


def tilt_loss(plane: Tensor) -> Tensor:
    """How far the plane (4,) is from level in a camera held upright."""
    normal = torch.nn.functional.normalize(plane[:3], dim=0)
    return LEVEL_WEIGHT * (normal[0].square() + normal[2].square())


def robust(squared: Tensor, scale: float, widening: float) -> Tensor:
    """Geman and McClure's r^2 / (r^2 + s^2), widened at first so that far residuals pull too."""
    w = widening * widening
    return w * squared / (squared + w * scale * scale)
