"""Finding and mending frames whose pose is of the wrong kind: left taken for right, front for back, or far off.

Such frames lie in other valleys of the loss, and gradients do not leave a valley. Once the avatar is roughly
coloured, each frame is therefore tried in a few other poses, each fitted to the picture for some steps with the
avatar frozen, and the sequence of kinds is chosen that explains pictures and motion best (Viterbi).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from models.avatar.comparison import compare
from models.avatar.losses import accelerations
from models.avatar.observations import Crops, together
from models.avatar.phases import Scene
from models.avatar.trajectory import articulated
from models.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle

KINDS = ("kept", "legs swapped", "arms swapped", "limbs swapped", "limbs mirrored", "reversed in depth",
         "turned by half", "between its neighbours")  # fmt: skip
FIT_STEPS = 8
FIT_RATES = (0.02, 0.006, 0.005)  # rotations, direction, distance
HOPELESS = 1.6  # times the picture's loss as it is, before fitting: not worth fitting
SMOOTHNESS = 6.0  # times the alignment's; frames are fitted alone here, as in the phase of held-out poses
RELUCTANCE = 0.05  # of the clip's median loss, for a frame that changes its kind
GREY = 0.5  # the background that rendering and picture are compared over
REACH = 2  # frames to the neighbours that stand in for a frame

_LEGS = ([1, 4, 7, 10], [2, 5, 8, 11])
_ARMS = ([16, 18, 20, 22], [17, 19, 21, 23])
_COLLARS = (13, 14)
_SWAPPED = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22]
_ACROSS = torch.tensor([-1.0, 1.0, 1.0])  # mirrors the body's left and right
_ARM_TURN = torch.tensor([-1.0, -1.0, 1.0])  # from a left arm's axes to a right one's: x out, y the hinge


def alternatives(rotations: Tensor, rays: Tensor) -> Tensor:
    """Every frame's pose in each of KINDS.

    Args:
        rotations: (T,24,3,3) relative to the parents', the root's to the camera.
        rays: (T,3) unit vectors from the camera to the pelvis.

    Returns:
        (T,len(KINDS),24,3,3).
    """
    legs, arms = _legs_swapped(rotations), _arms_swapped(rotations)
    mirrored = _conjugated(rotations[:, _SWAPPED], _ACROSS)
    limbs = rotations.clone()
    limbs[:, sum(_LEGS + _ARMS, [])] = mirrored[:, sum(_LEGS + _ARMS, [])]
    towards = torch.eye(3).to(rays) - 2 * rays[:, :, None] * rays[:, None]
    mirrored[:, 0] = towards @ rotations[:, 0] * _ACROSS.to(rotations)
    turned = rotations.clone()
    turned[:, 0] = rotations[:, 0] * rotations.new_tensor([-1.0, 1.0, -1.0])
    between = _between(rotations)
    kinds = (rotations, legs, arms, _arms_swapped(legs), limbs, mirrored, turned, between)
    return torch.stack(kinds, 1)


def _conjugated(rotations: Tensor, signs: Tensor) -> Tensor:
    """D R D of rotations (...,3,3), D diagonal of signs (3,)."""
    signs = signs.to(rotations)
    return signs[:, None] * rotations * signs


def _legs_swapped(rotations: Tensor) -> Tensor:
    """Each leg where the other one was."""
    swapped = rotations.clone()
    swapped[:, sum(_LEGS, [])] = rotations[:, sum(_LEGS[::-1], [])]
    return swapped


def _arms_swapped(rotations: Tensor) -> Tensor:
    """Each arm where the other one was; the collars stay."""
    swapped = rotations.clone()
    turn = _ARM_TURN.to(rotations)
    for (arm, other), (collar, across) in zip(
        (_ARMS, _ARMS[::-1]), (_COLLARS, _COLLARS[::-1]), strict=True
    ):
        upper = rotations[:, collar].mT @ rotations[:, across] @ rotations[:, other[0]]
        swapped[:, arm[0]] = upper * turn
        swapped[:, arm[1:]] = _conjugated(rotations[:, other[1:]], turn)
    return swapped


def _between(rotations: Tensor) -> Tensor:
    """The poses half way between those REACH frames before and after."""
    frames = torch.arange(len(rotations))
    before = rotations[(frames - REACH).clamp_min(0)]
    after = rotations[(frames + REACH).clamp_max(len(rotations) - 1)]
    return before @ axis_angle_to_matrix(matrix_to_axis_angle(before.mT @ after) / 2)


def told(repaired: dict[int, str]) -> str:
    """What `repair` did, in words."""
    names = sorted(set(repaired.values()))
    frames = {name: [t for t in sorted(repaired) if repaired[t] == name] for name in names}
    listed = "; ".join(f"{name}: {', '.join(map(str, frames[name]))}" for name in names)
    return f"The initial poses of {len(repaired)} frames were of the wrong kind and replaced ({listed})."


class Candidates(NamedTuple):
    """Poses that H frames' worth of hypotheses stand for; T frames, H kinds.

    Attributes:
        rotations: (T,H,24,3,3) relative to the parents'.
        roots: (T,H,3) of the pelvis: x/z, y/z, log z.
        costs: (T,H) of the picture; 0 where there is none, infinite where the fit was not worth while.
    """

    rotations: Tensor
    roots: Tensor
    costs: Tensor


def repair(scene: Scene, crops: Crops) -> dict[int, str]:
    """Puts the frames of the wrong kind right, in the trajectory; returns their kinds by frame.

    Args:
        scene: with an avatar that is roughly coloured.
        crops: small pictures of the frames that the avatar is learned from.
    """
    trajectory = scene.trajectory
    with torch.no_grad():
        rotations, roots = trajectory.rotations_and_roots()
        pelvis = torch.cat((roots[:, :2], torch.ones_like(roots[:, :1])), -1)
        rays = torch.nn.functional.normalize(pelvis, dim=-1)
        kinds = alternatives(rotations, rays)
    candidates = _fitted(scene, crops, kinds, roots[:, None].expand(-1, len(KINDS), -1))
    chosen = _best_sequence(scene, candidates)
    changed = chosen.nonzero()[:, 0]
    if len(changed):
        picked = chosen[changed]
        trajectory.restart(changed, candidates.rotations[changed, picked], candidates.roots[changed, picked])
    return {t: KINDS[int(chosen[t])] for t in changed.tolist()}


def _fitted(scene: Scene, crops: Crops, kinds: Tensor, roots: Tensor) -> Candidates:
    """Every frame's kinds (T,H,24,3,3), roots (T,H,3), moved towards the picture where there is one."""
    found = Candidates(kinds.clone(), roots.clone(), kinds.new_zeros(kinds.shape[:2]))
    for t in crops.frames.tolist():
        with torch.no_grad():
            first = _picture_costs(scene, crops, t, kinds[t], roots[t])
        worth = (first <= HOPELESS * first[0]).nonzero()[:, 0]
        found.costs[t] = torch.inf
        rotations, root, costs = _fit(scene, crops, t, kinds[t, worth], roots[t, worth])
        found.rotations[t, worth], found.roots[t, worth], found.costs[t, worth] = rotations, root, costs
    return found


def _fit(
    scene: Scene, crops: Crops, t: int, rotations: Tensor, roots: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Some steps towards the picture of frame t, of H poses at once, each for itself."""
    turns = roots.new_zeros(*rotations.shape[:2], 3, requires_grad=True)
    direction, distance = (part.clone().requires_grad_() for part in (roots[:, :2], roots[:, 2:]))
    unknowns = (turns, direction, distance)
    adam = torch.optim.Adam([{"params": [u], "lr": r} for u, r in zip(unknowns, FIT_RATES, strict=True)])
    with torch.enable_grad():
        for _ in range(FIT_STEPS):
            moved = rotations @ axis_angle_to_matrix(turns)
            cost = _picture_costs(scene, crops, t, moved, torch.cat((direction, distance), -1))
            adam.zero_grad()
            cost.sum().backward(inputs=unknowns)
            adam.step()
    with torch.no_grad():
        moved = rotations @ axis_angle_to_matrix(turns)
        root = torch.cat((direction, distance), -1)
        return moved, root, _picture_costs(scene, crops, t, moved, root)


def _picture_costs(scene: Scene, crops: Crops, t: int, rotations: Tensor, roots: Tensor) -> Tensor:
    """(H,) colour and silhouette of the avatar in H poses against the picture of frame t."""
    trajectory, w = scene.trajectory, scene.settings.weights
    crop = together([crops[t]] * len(rotations))
    rest = trajectory.body.shaped_joints(trajectory.betas.detach())
    turns = rotations.new_zeros(*rotations.shape[:2], 3)
    parts = (turns, roots[:, :2], roots[:, 2:], rest, trajectory.body.parents)
    drawn = scene.draw(articulated(rotations, *parts)[0], crop)
    compared = compare(drawn, crop, crop.K.new_full((len(rotations), 3), GREY))
    color = (compared.seen - compared.wanted).abs().flatten(1).mean(1)
    return w.l1 * color + w.silhouette * (drawn.alpha - crop.coverage()).square().flatten(1).mean(1)


@torch.no_grad()
def _best_sequence(scene: Scene, candidates: Candidates) -> Tensor:
    """(T,) the kind of every frame that makes pictures, motion and reluctance cost least together."""
    trajectory, costs = scene.trajectory, candidates.costs
    rest = trajectory.body.shaped_joints(trajectory.betas)
    flat = candidates.rotations.flatten(0, 1), candidates.roots.flatten(0, 1)
    turns = flat[0].new_zeros(*flat[0].shape[:2], 3)
    roots = flat[1][:, :2], flat[1][:, 2:]
    joints = articulated(flat[0], turns, *roots, rest, trajectory.body.parents)[2]
    joints = joints.unflatten(0, costs.shape)
    seen = costs[:, 0] > 0
    if not seen.any():
        return torch.zeros(len(costs), dtype=torch.long)
    costs = costs.clone()
    costs[:, 1:] += RELUCTANCE * costs[seen, 0].median()
    weight = SMOOTHNESS * scene.settings.weights.smoothness
    return viterbi(costs, joints, weight, scene.fps)


def viterbi(costs: Tensor, joints: Tensor, weight: float, fps: float) -> Tensor:
    """(T,) the cheapest path through T frames of H kinds: (T,H) costs and weighted accelerations.

    Args:
        joints: (T,H,24,3) metres, whose accelerations count, as robustly as in the optimisation.
    """
    count, kinds = costs.shape
    if count < 3:
        return costs.argmin(1)
    # Of the best path that ends in kinds (i, j) at the last two frames.
    total = costs[0][:, None] + costs[1]
    origin = []
    for t in range(2, count):
        here = joints[t].expand(kinds, kinds, -1, -1, -1)
        before, last = (joints[t - k][:, None, None] for k in (2, 1))
        three = torch.stack(torch.broadcast_tensors(before, last.transpose(0, 1), here), -3)
        jerks = weight * accelerations(three, fps).mean((-1, -2))
        best = (total[..., None] + jerks).min(0)
        origin.append(best.indices)
        total = best.values + costs[t]
    path = list(divmod(int(total.argmin()), kinds))
    for back in reversed(origin):
        path.insert(0, int(back[path[0], path[1]]))
    return torch.tensor(path)
