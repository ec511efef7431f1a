"""Phase 0: everything that can be known without rendering. Screens the start, then aligns it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from models.avatar import initial
from models.avatar.alignment import Boxes, align, log_heights_away
from models.avatar.kinds import put_right, told
from models.avatar.screening import in_words, overlaps, screened
from models.avatar.state import State
from models.avatar.surface import spread
from models.avatar.task import MIN_FRAMES, Task
from models.errors import StageError
from models.hmr.ground import feet_positions, stands

MIN_OVERLAP = 0.3  # of the body's box and the mask's, intersection over union
OUTLINE_POINTS = 1500  # on the surface, whose outermost ones make the body's box
REPORT_EVERY = 25  # steps


def begin(task: Task, tell: Callable[[int], None]) -> State:
    """The state after the alignment; aligned anew without the frames that it shows to be of somebody else,
    whose masks would draw their neighbours away.

    Args:
        tell: called with the number of every step done.

    Raises:
        StageError: initial motion and masks disagree nearly everywhere.
    """
    state = State.fresh(task)
    start = _sided(task, state, *_screened(task, state))
    if not torch.equal(task.likely_betas, task.betas):
        largest = float(task.betas.abs().max())
        state.warnings.append(
            f"The initial motion has a body shape that nobody has (a coefficient of {largest:.0f}, where "
            "3 is rare already); the mean shape was taken instead."
        )
    ground = torch.zeros(4, device=task.device)
    while True:
        state.trajectory = task.trajectory(*task.sized(*start))
        boxes = _boxes(task, state)
        state.losses = []
        losses = align(
            state.trajectory, boxes, task.trusted_landmarks(), task.evidence.fps, task.settings, ground
        )
        for step, loss in enumerate(losses):
            if step % REPORT_EVERY == 0:
                state.losses.append({"phase": "alignment", "step": step, "total": _finite(loss)})
            tell(step + 1)
        if not _drop_strangers(task, state, boxes):
            break
    state.aligned_log_distance = _finite(state.trajectory.mean_log_distance().detach())
    state.log_heights_away = _finite(log_heights_away(state.trajectory).detach())
    state.ground = _stood_on(state, ground)
    if state.dropped:
        frames = in_words(state.dropped)
        state.warnings.append(f"The mask is not where the person should be in {frames}, left out here.")
    return state


def _finite(value: Tensor) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise StageError(
            "The alignment of the initial motion with the masks diverged.",
            "Look at the initial poses and masks; lower the learning rates (optimize.rates).",
        )
    return number


def _screened(task: Task, state: State) -> tuple[Tensor, Tensor]:
    """Drops masks of somebody else; gives a start without the poses that are somewhere else."""
    boxes = _boxes(task, state)
    boxes.place(state.trajectory)
    body = boxes.visible_extent(state.trajectory(slice(None)), state.trajectory.betas)
    state.dropped, misplaced = screened(body.cpu().double().numpy(), task.boxes)
    posed = task.evidence.posed.copy()
    posed[misplaced] = False
    if not misplaced or not posed.any():
        return initial.filled_in(task.evidence)
    state.warnings.append(
        f"The initial pose is far from the person in {in_words(misplaced)}; its neighbours' was taken."
    )
    return initial.filled_in(replace(task.evidence, posed=posed))


def _sided(task: Task, state: State, poses: Tensor, trans: Tensor) -> tuple[Tensor, Tensor]:
    """The start with left and right, front and back where the motion says that they are."""
    poses, trans = poses.to(task.device), trans.to(task.device)
    if not task.settings.put_right:
        return poses, trans
    poses, state.put_right = put_right(poses, trans, task.likely_betas, task.body)
    if state.put_right:
        state.warnings.append(told(state.put_right))
    return poses, trans


def _boxes(task: Task, state: State) -> Boxes:
    """The boxes of the masks that are believed, against the body's."""
    known = task.boxes.copy()
    known[state.dropped] = np.nan
    height, width = task.evidence.masks[task.usable[0]].shape
    outline = spread(task.body, OUTLINE_POINTS, task.settings.seed).to(task.device)
    return Boxes(outline, known, (width, height), task.evidence.K)


def _drop_strangers(task: Task, state: State, boxes: Boxes) -> bool:
    """Leaves out the frames whose mask is not where the whole clip says that the person is; whether
    there are any new ones."""
    body = boxes.visible_extent(state.trajectory(slice(None)), state.trajectory.betas)
    overlap = overlaps(body.cpu().double().numpy(), task.boxes)
    strangers = {t for t in task.usable if overlap[t] < MIN_OVERLAP}
    dropped = sorted(strangers.union(state.dropped))
    count = len(task.usable)
    if count - len(dropped) < MIN_FRAMES:
        raise StageError(
            f"Initial motion and masks disagree where the person is in {len(dropped)} of {count} frames.",
            "Check that both are of one person, and that K belongs to the pictures.",
        )
    found, state.dropped = len(dropped) > len(state.dropped), dropped
    return found


@torch.no_grad()
def _stood_on(state: State, plane: Tensor) -> Tensor | None:
    """The plane, if most frames agree: where the camera moves there is no such plane in its space."""
    body = state.trajectory(slice(None))
    return plane if stands(plane, feet_positions(body.transforms, body.joints)) else None
