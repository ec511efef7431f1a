"""The end of an optimisation: avatar and motion judged, completed, and described."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from models.avatar import initial
from models.avatar.alignment import body_height
from models.avatar.avatar import Avatar
from models.avatar.completion import completed, hardly_seen
from models.avatar.evaluation import coverage, figures
from models.avatar.plans import APPEARANCE, plan
from models.avatar.remarks import remarks
from models.avatar.safeguard import Placed, Verdict, judged
from models.avatar.screening import in_words
from models.avatar.state import State
from models.avatar.task import Task


@dataclass(frozen=True)
class Result:
    """What an optimisation ends with, on the CPU.

    Attributes:
        avatar: the finished one.
        poses: (T,72), trans: (T,3), joints: (T,24,3): the refined motion in camera space; betas: (10,).
        history: JSON-able: phases, losses by step, held-out frames with their figures, warnings.
        interpolated: poses (T,72) and trans (T,3) before held-out frames were fitted to their own pictures;
            None if no frame was held out, or the clip keeps its initial motion.
    """

    avatar: Avatar
    poses: Tensor
    trans: Tensor
    joints: Tensor
    betas: Tensor
    history: dict[str, Any]
    interpolated: tuple[Tensor, Tensor] | None = None


def deliver(task: Task, state: State) -> Result:
    """The result of a finished optimisation."""
    split = task.split(state.dropped)
    avatar = _avatar(task, state)
    verdict = _judged(task, state, avatar)
    poses, trans = verdict.motion
    training = plan(APPEARANCE, task, split)
    seen = coverage(avatar, poses, trans, training.fine, training.frames)
    avatar = completed(replace(avatar, coverage=seen).to("cpu"))
    unseen = hardly_seen(avatar)
    joints = task.body.articulate(poses, trans, state.trajectory.betas.detach())[1]
    seen_poses, seen_joints = (a.cpu().numpy()[split.believed] for a in (poses, joints))
    state.warnings += remarks(seen_poses, seen_joints, unseen)
    before = None if verdict.whole or state.interpolated is None else Placed(*state.interpolated)
    history = {
        "losses": state.losses,
        "warnings": state.warnings,
        "frames": {
            "usable": task.usable,
            "held_out": split.tested,
            "validation": split.validation,
            "dropped": state.dropped,
            "put_right": state.put_right,
            "given_up": verdict.replaced,
        },
        "depth_slope": state.slope,
        "depth_used": state.uses_depth,
        "size_from": _size_from(task, state),
        "height": body_height(task.body, avatar.betas.to(task.device)),
        "on_ground": state.ground is not None,
        "hardly_seen": unseen,
        "held_out": _comparison(task, split.tested, avatar.to(task.device), before, verdict.motion),
        "agreement": verdict.figures,
    }
    interpolated = None if before is None else (before.poses.cpu(), before.trans.cpu())
    return Result(avatar, poses.cpu(), trans.cpu(), joints.cpu(), avatar.betas, history, interpolated)


@torch.no_grad()
def _avatar(task: Task, state: State) -> Avatar:
    """As it was learned, not yet known how often each part was seen."""
    g, betas = state.gaussians, state.trajectory.betas.detach()
    return Avatar(
        means=g.means(betas).detach(),
        quaternions=torch.nn.functional.normalize(g.quaternions.detach(), dim=-1),
        log_scales=g.log_scales.detach().clone(),
        opacity_logits=g.opacity_logits.detach().clone(),
        colors=g.colors.detach().clone(),
        weights=g.surface.weights,
        rest_joints=task.body.shaped_joints(betas),
        parents=torch.tensor(task.body.parents),
        betas=betas.clone(),
        body=task.body.kind,
        coverage=torch.zeros(len(g), device=task.device),
    )


def _initial(task: Task, avatar: Avatar) -> Placed:
    """The initial motion for the avatar's body, as much farther away as this is taller: it looks alike."""
    poses, trans, shape = task.sized(*initial.filled_in(task.evidence))
    factor = body_height(task.body, avatar.betas) / body_height(task.body, shape)
    pelvis = factor * (trans + task.body.shaped_joints(shape)[0])
    return Placed(poses, pelvis - avatar.rest_joints[0])


def _judged(task: Task, state: State, avatar: Avatar) -> Verdict:
    """The refined motion against the initial one; what was given up is told in a warning."""
    crops = task.crops(task.settings.person_pixels, task.split(state.dropped).believed)
    refined = Placed(*state.trajectory.motion()[:2])
    verdict = judged(avatar, task.body, _initial(task, avatar), refined, crops, task.landmarks())
    if verdict.whole:
        state.warnings.append(
            "The refined motion agrees no better with the pictures than the initial one, which was kept: "
            "masks or initial motion are wrong."
        )
    elif verdict.replaced:
        state.warnings.append(
            f"The refined pose agreed worse with the pictures than the initial one in "
            f"{in_words(verdict.replaced)}, and was given up there."
        )
    return verdict


def _size_from(task: Task, state: State) -> str:
    """What decides between small and near, tall and far."""
    if task.settings.height:
        return "given height"
    return "metric depth" if state.metric else "population prior"


@torch.no_grad()
def _comparison(
    task: Task, frames: list[int], avatar: Avatar, interpolated: Placed | None, refined: Placed
) -> dict[str, Any]:
    """PSNR, SSIM and IoU of the finished avatar on the tested frames, in their initial poses, in those
    that the neighbouring frames give them, and in those fitted to them; empty without such frames."""
    if interpolated is None:
        return {}
    motions = {
        "initial poses": _initial(task, avatar),
        "interpolated poses": interpolated,
        "fitted poses": refined,
    }
    pixels = task.settings.final_person_pixels
    crops = task.crops(pixels, frames)
    found: dict[str, Any] = {
        name: figures(avatar, *motion, crops, frames) for name, motion in motions.items()
    }
    return found | {"pictures": f"tight crop over white, person at most {pixels} pixels large"}
