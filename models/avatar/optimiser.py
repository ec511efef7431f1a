"""The joint optimisation of avatar and motion: its phases in order, its result."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from models.avatar import initial
from models.avatar.alignment import Boxes, align, with_height
from models.avatar.avatar import Avatar
from models.avatar.completion import HARDLY, completed
from models.avatar.depth import SOLID, fit_slope
from models.avatar.evaluation import coverage, figures
from models.avatar.gaussians import Gaussians, refined
from models.avatar.kinds import put_right, told
from models.avatar.landmarks import Landmarks
from models.avatar.observations import Crops, Evidence, mask_boxes, together
from models.avatar.phases import Phase, Plan, Scene
from models.avatar.settings import OptimiserSettings
from models.avatar.surface import spread
from models.avatar.trajectory import Trajectory
from models.body import BodyModel
from models.errors import StageError

CHECKPOINT_VERSION = 3  # raised when a checkpoint's content changes its meaning
MIN_FRAMES = 3  # usable ones, for smoothness to mean something
MIN_FRAMES_TO_HOLD_OUT = 10
MIN_OVERLAP = 0.3  # of the body's box and the mask's, intersection over union
REPORT_EVERY = 25  # steps
SAVE_EVERY = 200  # steps
OUTLINE_POINTS = 1500  # on the surface, whose outermost ones make the body's box
DEPTH_FRAMES = 60  # at most, for the slope of the depth maps
MUCH_UNSEEN = 0.3  # of the Gaussians
FIT_STEPS = 25  # for each held-out frame
# Such a frame moves alone, without the kernel, and would leave its neighbours' path.
FIT_SMOOTHNESS, FIT_PACE = 6.0, 0.5


class Progress(Protocol):
    """Told how far the optimisation is."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


class Checkpoint(Protocol):
    """Where the state of an unfinished optimisation is kept; `load` gives None if there is none."""

    def load(self) -> dict[str, Any] | None: ...

    def save(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Result:
    """What an optimisation ends with, on the CPU.

    Attributes:
        avatar: the finished one.
        poses: (T,72), trans: (T,3), joints: (T,24,3): the refined motion in camera space; betas: (10,).
        history: JSON-able: phases, losses by step, held-out frames with their figures, warnings.
        interpolated: poses (T,72) and trans (T,3) before held-out frames were fitted to their own pictures;
            None if no frame was held out.
    """

    avatar: Avatar
    poses: Tensor
    trans: Tensor
    joints: Tensor
    betas: Tensor
    history: dict[str, Any]
    interpolated: tuple[Tensor, Tensor] | None = None


@dataclass
class _State:
    """All that changes between the phases, and so all that a checkpoint needs."""

    trajectory: Trajectory
    gaussians: Gaussians
    ground: Tensor
    phase: int = 0
    mean_log_distance: float | None = None
    slope: float | None = None
    dropped: list[int] = field(default_factory=list)
    losses: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    put_right: dict[int, str] = field(default_factory=dict)
    interpolated: tuple[Tensor, Tensor] | None = None  # poses and trans before held-out ones are fitted


def optimise(
    evidence: Evidence,
    body: BodyModel,
    settings: OptimiserSettings,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Result:
    """Learns an avatar and refines the motion, together, from one clip.

    Deterministic on one machine and device; picking up a checkpoint gives the same result as no interruption.

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
    initial.check(evidence)
    return _Optimisation(evidence, body, settings, torch.device(device), checkpoint, progress).run()


class _Optimisation:
    """One call of `optimise`."""

    def __init__(
        self,
        evidence: Evidence,
        body: BodyModel,
        settings: OptimiserSettings,
        device: torch.device,
        checkpoint: Checkpoint | None,
        progress: Progress | None,
    ) -> None:
        self.evidence, self.settings, self.device = evidence, settings, device
        self.body = body.to(device)
        self.checkpoint, self.progress = checkpoint, progress
        self.boxes = mask_boxes(evidence.masks, evidence.valid)
        self.usable = np.flatnonzero(np.isfinite(self.boxes).all(1))
        if len(self.usable) < MIN_FRAMES:
            raise StageError(
                f"Only {len(self.usable)} frames have a usable mask of the person; {MIN_FRAMES} are needed.",
                "Look at the masks; choose another person with --person, or give masks with --masks.",
            )
        betas = torch.from_numpy(evidence.betas.astype(np.float32))
        self.start = tuple(a.to(device) for a in (*initial.filled_in(evidence), betas))
        self.total = settings.alignment_steps + settings.silhouette_steps
        self.total += settings.joint_steps + settings.appearance_steps
        self.done = 0

    # The phases

    def run(self) -> Result:
        saved = self.checkpoint.load() if self.checkpoint else None
        if saved is not None and saved.get("task") != self._task():
            saved = None
        phase_state = None
        if saved is None:
            state = self._fresh()
            self._align(state)
            self._save(state, None)
        else:
            state, phase_state = self._restored(saved)
        for number, name in enumerate(("silhouettes", "joint", "appearance", "held-out poses")):
            steps = self._steps(name, state)
            if number < state.phase or steps == 0:
                self.done += steps
                continue
            if phase_state is None:
                self._prepare(name, state)
            phase = Phase(self._scene(state), self._plan(name, state))
            if phase_state is not None:
                phase.load_state_dict(phase_state)
                phase_state = None
            self._carry_out(phase, state)
            state.phase = number + 1
            self._save(state, None)
        return self._result(state)

    def _fresh(self) -> _State:
        poses, trans, betas = self._sized(*self.start)
        poses, changed = put_right(poses, trans, betas, self.body)
        kernel = self.settings.kernel_seconds * self.evidence.fps
        trajectory = Trajectory(poses, trans, betas, self.body, kernel)
        ground = torch.zeros(4, device=self.device)
        state = _State(trajectory, self._gaussians(self.settings.gaussians), ground, put_right=changed)
        if changed:
            state.warnings.append(told(changed))
        return state

    def _sized(self, poses: Tensor, trans: Tensor, betas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The start for a body of the given height, if one is given: as much farther as it is taller."""
        if not self.settings.height:
            return poses, trans, betas
        sized, factor = with_height(self.body, betas, self.settings.height)
        before, after = (self.body.shaped_joints(b)[0] for b in (betas, sized))
        return poses, factor * (trans + before) - after, sized

    def _gaussians(self, count: int) -> Gaussians:
        return Gaussians(spread(self.body, count, self.settings.seed)).to(self.device)

    def _align(self, state: _State) -> None:
        """Phase 0: everything that can be known without rendering."""
        evidence, settings = self.evidence, self.settings
        height, width = evidence.masks[int(self.usable[0])].shape
        outline = spread(self.body, OUTLINE_POINTS, settings.seed).to(self.device)
        boxes = Boxes(outline, self.boxes, (width, height), evidence.K)
        for step, loss in enumerate(
            align(state.trajectory, boxes, self._landmarks(), evidence.fps, settings, state.ground)
        ):
            if step % REPORT_EVERY == 0:
                state.losses.append({"phase": "alignment", "step": step, "total": float(loss)})
            self._tell("alignment")
        state.mean_log_distance = float(state.trajectory.mean_log_distance().detach())
        self._drop_strangers(state, boxes)

    @torch.no_grad()
    def _drop_strangers(self, state: _State, boxes: Boxes) -> None:
        """Leaves out the frames whose mask is not where the whole clip says that the person is."""
        overlap = boxes.overlap(state.trajectory(slice(None)), state.trajectory.betas).cpu().numpy()
        state.dropped = [t for t in self.usable.tolist() if overlap[t] < MIN_OVERLAP]
        count, dropped = len(self.usable), len(state.dropped)
        if count - dropped < MIN_FRAMES:
            raise StageError(
                f"Initial motion and masks disagree where the person is in {dropped} of {count} frames.",
                "Check that both are of one person, and that K belongs to the pictures.",
            )
        if dropped:
            frames = "1 frame" if dropped == 1 else f"{dropped} frames"
            state.warnings.append(f"{frames} left out: the mask is not where the person should be.")

    def _prepare(self, name: str, state: _State) -> None:
        """What happens once between two phases."""
        if name == "joint":
            self._calibrate_depth(state)
        elif name == "appearance":
            fine = self._gaussians(max(self.settings.final_gaussians, len(state.gaussians)))
            if len(fine) > len(state.gaussians):
                state.gaussians = refined(state.gaussians, fine.surface)
        elif name == "held-out poses":
            poses, trans, _ = state.trajectory.motion()
            state.interpolated = poses, trans
            state.trajectory.settle()
            state.trajectory.kernel.copy_(torch.eye(len(state.trajectory)))

    def _carry_out(self, phase: Phase, state: _State) -> None:
        plan = phase.plan
        while phase.step_number < plan.steps:
            phase.step()
            if phase.step_number % REPORT_EVERY == 0 or phase.step_number == plan.steps:
                means = phase.losses.read()
                if not np.isfinite(means["total"]):
                    raise StageError(
                        f"The optimisation diverged in the phase '{plan.name}'.",
                        "Look at the initial poses and masks; lower the learning rates (optimize.rates).",
                    )
                state.losses.append({"phase": plan.name, "step": phase.step_number, **means})
            self._tell(plan.name)
            if phase.step_number % SAVE_EVERY == 0 and phase.step_number < plan.steps:
                self._save(state, phase.state_dict())

    def _tell(self, name: str) -> None:
        self.done += 1
        if self.progress:
            self.progress(min(self.done, self.total), self.total, name)

    def _scene(self, state: _State) -> Scene:
        return Scene(
            trajectory=state.trajectory,
            gaussians=state.gaussians,
            fps=self.evidence.fps,
            settings=self.settings,
            mean_log_distance=None if self._metric() else state.mean_log_distance,
            slope=state.slope,
            landmarks=self._landmarks(),
            ground=state.ground,
            use_depth=self._metric() or state.slope is not None,
        )

    def _plan(self, name: str, state: _State) -> Plan:
        settings = self.settings
        held_out = self._held_out(state)
        training = [t for t in self.usable.tolist() if t not in held_out and t not in state.dropped]
        fitting = name == "held-out poses"
        frames = held_out if fitting else training
        joint = name == "joint"
        fine = self._crops(
            settings.final_person_pixels if name == "appearance" else settings.person_pixels, frames
        )
        coarse = self._crops(settings.person_pixels // 2, frames) if joint else fine
        return Plan(
            name=name,
            steps=self._steps(name, state),
            frames=frames,
            coarse=coarse,
            fine=fine,
            coarse_until=round(settings.coarse_share * settings.joint_steps) if joint else 0,
            moves_motion=name != "appearance",
            moves_shape=name in ("silhouettes", "joint"),
            moves_avatar=name in ("joint", "appearance"),
            uses_color=name != "silhouettes",
            smoothness=FIT_SMOOTHNESS if fitting else settings.weights.rendered_smoothness,
            pace=FIT_PACE if fitting else 1.0,
            seed=settings.seed + len(name),
        )

    def _steps(self, name: str, state: _State) -> int:
        settings = self.settings
        return {
            "silhouettes": settings.silhouette_steps,
            "joint": settings.joint_steps,
            "appearance": settings.appearance_steps,
            "held-out poses": -(-FIT_STEPS * len(self._held_out(state)) // settings.frames_per_step),
        }[name]

    def _held_out(self, state: _State) -> list[int]:
        """Evenly spaced frames that the avatar never sees."""
        frames = [t for t in self.usable.tolist() if t not in state.dropped]
        count = int(self.settings.held_out * len(frames)) if len(frames) >= MIN_FRAMES_TO_HOLD_OUT else 0
        return [frames[int((i + 0.5) * len(frames) / count)] for i in range(count)]

    def _crops(self, pixels: int, frames: list[int]) -> Crops:
        return Crops(self.evidence, self.boxes, np.array(frames, np.int64), pixels, self.device)

    def _landmarks(self) -> Landmarks | None:
        if self.evidence.landmarks is None or not self.settings.weights.landmarks:
            return None
        size = float(np.nanmedian((self.boxes[:, 2:] - self.boxes[:, :2]).max(1)))
        return Landmarks(self.evidence.landmarks, self.evidence.K, size, self.device)

    # Depth

    def _metric(self) -> bool:
        return self.evidence.depth is not None and self.evidence.disparity is None

    @torch.no_grad()
    def _calibrate_depth(self, state: _State) -> None:
        if self.evidence.disparity is None or not self.settings.weights.depth:
            return
        scene, plan = self._scene(state), self._plan("silhouettes", state)
        pairs = []
        for t in plan.frames[:: max(1, len(plan.frames) // DEPTH_FRAMES)]:
            crop = plan.fine[t]
            drawn = scene.draw(state.trajectory(torch.tensor([t])).transforms, together([crop]))
            assert crop.depth is not None and crop.trusted is not None
            inside = crop.trusted & (drawn.alpha[0] > SOLID)
            inverse = 1 / drawn.depth[0][inside].clamp_min(0.1)
            pairs.append((crop.depth[inside].double().cpu().numpy(), inverse.double().cpu().numpy()))
        state.slope = fit_slope(pairs)
        if state.slope is None:
            state.warnings.append("The depth maps contradict the silhouettes and were not used.")

    # Checkpoints

    def _save(self, state: _State, phase: dict[str, Any] | None) -> None:
        if self.checkpoint is None:
            return
        plain = {k: v for k, v in vars(state).items() if k not in ("trajectory", "gaussians")}
        self.checkpoint.save(
            {
                "task": self._task(),
                "state": plain,
                "gaussian_count": len(state.gaussians),
                "trajectory": state.trajectory.state_dict(),
                "gaussians": state.gaussians.state_dict(),
                "phase_state": phase,
            }
        )

    def _task(self) -> str:
        """Names the optimisation that a checkpoint belongs to: settings and evidence, all but pixels."""
        evidence = self.evidence
        digest = hashlib.sha256(f"{CHECKPOINT_VERSION} {self.settings!r} {evidence.fps}".encode())
        arrays = (evidence.poses, evidence.trans, evidence.betas, evidence.K, evidence.posed, self.boxes)
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _restored(self, saved: dict[str, Any]) -> tuple[_State, dict[str, Any] | None]:
        state = replace(self._fresh(), gaussians=self._gaussians(saved["gaussian_count"]), **saved["state"])
        state.trajectory.load_state_dict(saved["trajectory"])
        state.gaussians.load_state_dict(saved["gaussians"])
        self.done = self.settings.alignment_steps + (saved["phase_state"] or {}).get("step", 0)
        return state, saved["phase_state"]

    # The result

    def _result(self, state: _State) -> Result:
        poses, trans, joints = state.trajectory.motion()
        avatar = self._avatar(state)
        training = self._plan("appearance", state)
        seen = coverage(avatar, poses, trans, training.fine, training.frames)
        avatar = completed(replace(avatar, coverage=seen).to("cpu"))
        unseen = float((avatar.coverage <= HARDLY).float().mean())
        if unseen > MUCH_UNSEEN:
            share = round(100 * unseen)
            state.warnings.append(f"{share} % of the body was hardly ever seen; its colours are guesses.")
        history = {
            "losses": state.losses,
            "warnings": state.warnings,
            "frames": {
                "usable": self.usable.tolist(),
                "held_out": self._held_out(state),
                "dropped": state.dropped,
                "put_right": state.put_right,
            },
            "depth_slope": state.slope,
            "size_from": self._size_from(),
            "hardly_seen": unseen,
            "held_out": self._comparison(state, avatar.to(self.device)),
        }
        before = state.interpolated
        interpolated = None if before is None else (before[0].cpu(), before[1].cpu())
        return Result(avatar, poses.cpu(), trans.cpu(), joints.cpu(), avatar.betas, history, interpolated)

    def _size_from(self) -> str:
        """What decides between small and near, tall and far."""
        if self.settings.height:
            return "given height"
        return "metric depth" if self._metric() else "population prior"

    @torch.no_grad()
    def _avatar(self, state: _State) -> Avatar:
        g, betas = state.gaussians, state.trajectory.betas.detach()
        return Avatar(
            means=g.means(betas).detach(),
            quaternions=torch.nn.functional.normalize(g.quaternions.detach(), dim=-1),
            log_scales=g.log_scales.detach().clone(),
            opacity_logits=g.opacity_logits.detach().clone(),
            colors=g.colors.detach().clone(),
            weights=g.surface.weights,
            rest_joints=self.body.shaped_joints(betas),
            parents=torch.tensor(self.body.parents),
            betas=betas.clone(),
            body=self.body.kind,
            coverage=torch.zeros(len(g), device=self.device),
        )

    @torch.no_grad()
    def _comparison(self, state: _State, avatar: Avatar) -> dict[str, Any]:
        """PSNR, SSIM and IoU of the finished avatar on the held-out frames, in their initial poses, in those
        that the neighbouring frames give them, and in those fitted to them; empty without such frames."""
        if state.interpolated is None:
            return {}
        poses, trans, betas = self.start
        motions = {
            "initial poses": (poses, trans + self.body.shaped_joints(betas)[0] - avatar.rest_joints[0]),
            "interpolated poses": state.interpolated,
            "fitted poses": state.trajectory.motion()[:2],
        }
        frames = self._held_out(state)
        crops = self._crops(self.settings.final_person_pixels, frames)
        return {
            **{name: figures(avatar, *motion, crops, frames) for name, motion in motions.items()},
            "pictures": "tight crop over white, person at most "
            f"{self.settings.final_person_pixels} pixels large",
        }
