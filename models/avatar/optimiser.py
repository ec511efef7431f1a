"""The joint optimisation of avatar and motion: its phases in order."""

from typing import Any, Protocol

import numpy as np
import torch

from models.avatar import initial
from models.avatar.beginning import REPORT_EVERY, begin
from models.avatar.calibration import calibrate
from models.avatar.delivery import Result, deliver
from models.avatar.gaussians import refined
from models.avatar.observations import Evidence
from models.avatar.phases import Phase
from models.avatar.plans import APPEARANCE, HELD_OUT, JOINT, PHASES, plan, steps
from models.avatar.settings import OptimiserSettings
from models.avatar.split import Split
from models.avatar.state import State
from models.avatar.stopping import CHECK_EVERY, Lookout
from models.avatar.task import Task
from models.body import BodyModel
from models.errors import StageError

SAVE_EVERY = 200  # steps


class Progress(Protocol):
    """Told how far the optimisation is."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


class Checkpoint(Protocol):
    """Where the state of an unfinished optimisation is kept; `load` gives None if there is none."""

    def load(self) -> dict[str, Any] | None: ...

    def save(self, state: dict[str, Any]) -> None: ...


def optimise(
    evidence: Evidence,
    body: BodyModel,
    settings: OptimiserSettings,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Result:
    """Learns an avatar and refines the motion, together, from one clip.

    Deterministic on one machine (on CUDA up to rounding); picking up a checkpoint gives the same result as no
    interruption.

    Args:
        evidence: pictures, masks, the initial motion, and depth maps and landmarks where there are any.
        body: the model that the motion's poses and shape belong to.
        settings: see docs/method.md.
        device: of the tensors; the renderer's engine follows it.
        checkpoint: where an unfinished state is kept, if anywhere.
        progress: told about every few steps.

    Raises:
        InputError: evidence that does not fit together.
        StageError: too few frames show the person.
    """
    task = Task(evidence, body, settings, torch.device(device))
    return deliver(task, _Optimisation(task, checkpoint, progress).run())


class _Optimisation:
    """One call of `optimise`."""

    def __init__(self, task: Task, checkpoint: Checkpoint | None, progress: Progress | None) -> None:
        self.task, self.settings = task, task.settings
        self.checkpoint, self.progress = checkpoint, progress

    def run(self) -> State:
        """All phases that are not done yet."""
        saved = self.checkpoint.load() if self.checkpoint else None
        state = State.restored(self.task, saved)
        under_way = saved["phase_state"] if saved and state else None
        if state is None:
            state = begin(self.task, lambda step: self._tell("alignment", step, self.task.split([])))
            self._save(state, None)
        split = self.task.split(state.dropped)
        done = self.settings.alignment_steps
        for number, name in enumerate(PHASES):
            count = steps(name, self.settings, split)
            if number >= state.phase and count:
                self._pass(name, done, state, split, under_way)
                under_way, state.phase = None, number + 1
                self._save(state, None)
            done += count
        return state

    def _pass(
        self, name: str, done: int, state: State, split: Split, under_way: dict[str, Any] | None
    ) -> None:
        """One rendering phase, from its beginning or from where a checkpoint left it.

        Args:
            done: steps of all phases before.
            under_way: what the checkpoint has of this phase.
        """
        if under_way is None:
            self._prepare(name, state, split)
        phase = Phase(state.scene(self.task), plan(name, self.task, split))
        lookout = self._lookout(phase, split)
        if under_way is not None:
            phase.load_state_dict(under_way)
            if lookout:
                lookout.load_state_dict(under_way["lookout"])
        ended = phase.step_number >= phase.plan.steps
        while not ended:
            ended = self._step(phase, lookout, state)
            self._tell(name, done + phase.step_number, split)
            if phase.step_number % SAVE_EVERY == 0 and not ended:
                watched = lookout.state_dict() if lookout else None
                self._save(state, {**phase.state_dict(), "lookout": watched})
        if lookout:
            lookout.keep_best()

    def _prepare(self, name: str, state: State, split: Split) -> None:
        """What happens once between two phases."""
        if name == JOINT:
            calibrate(self.task, state, self.task.crops(self.settings.person_pixels, split.training))
        elif name == APPEARANCE:
            fine = self.task.gaussians(max(self.settings.final_gaussians, len(state.gaussians)))
            if len(fine) > len(state.gaussians):
                state.gaussians = refined(state.gaussians, fine.surface)
        elif name == HELD_OUT:
            if self.settings.bridge_held_out:
                self._bridge(state, split)
            poses, trans, _ = state.trajectory.motion()
            state.interpolated = poses, trans
            state.trajectory.part_frames()

    def _bridge(self, state: State, split: Split) -> None:
        """Puts the held-out frames between their neighbours: no picture has corrected them yet."""
        poses, trans, _ = (a.cpu().numpy() for a in state.trajectory.motion())
        known = np.ones(len(poses), bool)
        known[split.held_out] = False
        bridged, moved = (a.to(self.task.device) for a in initial.between(poses, trans, known))
        state.trajectory = self.task.trajectory(bridged, moved, state.trajectory.betas.detach())

    def _lookout(self, phase: Phase, split: Split) -> Lookout | None:
        """For the phase in which the avatar alone learns, if there is anything to judge it by."""
        if phase.plan.name != APPEARANCE or not split.validation:
            return None
        crops = self.task.crops(self.settings.final_person_pixels, split.validation)
        return Lookout(phase.scene, crops, self.settings.patience)

    def _step(self, phase: Phase, lookout: Lookout | None, state: State) -> bool:
        """One step, and what is written down of it; whether it was the phase's last."""
        phase.step()
        step, plan = phase.step_number, phase.plan
        checked = {"held_out": lookout.check()} if lookout and step % CHECK_EVERY == 0 else {}
        ended = step == plan.steps or bool(lookout and lookout.exhausted)
        if step % REPORT_EVERY == 0 or ended:
            means = phase.losses.read()
            if not np.isfinite(means["total"]):
                raise StageError(
                    f"The optimisation diverged in the phase '{plan.name}'.",
                    "Look at the initial poses and masks; lower the learning rates (optimize.rates).",
                )
            state.losses.append({"phase": plan.name, "step": step, **means, **checked})
        return ended

    def _save(self, state: State, phase: dict[str, Any] | None) -> None:
        if self.checkpoint is not None:
            self.checkpoint.save(state.saved(self.task, phase))

    def _tell(self, name: str, done: int, split: Split) -> None:
        if self.progress:
            total = self.settings.alignment_steps + sum(steps(n, self.settings, split) for n in PHASES)
            self.progress(done, total, name)
