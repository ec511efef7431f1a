"""The joint optimisation of avatar and motion: its phases in order, its result."""

import hashlib
import math
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar import initial
from models.avatar.alignment import Boxes, align, body_height, with_height
from models.avatar.avatar import Avatar
from models.avatar.completion import completed, hardly_seen
from models.avatar.depth import MIN_PIXELS, SOLID, fit_slope
from models.avatar.evaluation import coverage, figures
from models.avatar.gaussians import Gaussians, refined
from models.avatar.kinds import put_right, told
from models.avatar.landmarks import Landmarks
from models.avatar.observations import Crops, Evidence, mask_boxes, together
from models.avatar.phases import Phase, Plan, Scene
from models.avatar.safeguard import Placed, Verdict, judged
from models.avatar.screening import in_words, overlaps, screened
from models.avatar.settings import OptimiserSettings
from models.avatar.sides import remarks
from models.avatar.stopping import CHECK_EVERY, Lookout
from models.avatar.surface import spread
from models.avatar.trajectory import Trajectory, scales_of
from models.body import BodyModel
from models.errors import StageError
from models.hmr.ground import feet_positions, stands

CHECKPOINT_VERSION = 10  # raised when a checkpoint's content changes its meaning
MIN_FRAMES = 3  # usable ones, for smoothness to mean something
MIN_FRAMES_TO_HOLD_OUT = 10
LEAST_PIXELS = 24  # of the person: below, poses end worse than they begin
MIN_OVERLAP = 0.3  # of the body's box and the mask's, intersection over union
REPORT_EVERY = 25  # steps
SAVE_EVERY = 200  # steps
OUTLINE_POINTS = 1500  # on the surface, whose outermost ones make the body's box
DEPTH_FRAMES = 60  # at most, for the slope of the depth maps
UNLIKELY_DEPTH = 2.5  # times the distance that the alignment found: such metric maps are not in metres
FIT_STEPS = 25  # for each held-out frame
# Such a frame moves alone, without the kernel, and would leave its neighbours' path.
FIT_SMOOTHNESS, FIT_PACE = 22.5, 0.5


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
    phase: int = 0
    mean_log_distance: float | None = None
    slope: float | None = None
    ground: Tensor | None = None
    metric: bool = False
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
        size = self.person_size = float(np.nanmedian((self.boxes[:, 2:] - self.boxes[:, :2]).max(1)))
        if size < LEAST_PIXELS:
            raise StageError(
                f"The person is only {size:.0f} pixels large in the pictures; {LEAST_PIXELS} are needed.",
                "Film from nearer, or keep larger pictures (frames.max_side).",
            )
        self.betas = torch.from_numpy(evidence.betas.astype(np.float32)).to(device)
        self.total = settings.alignment_steps + settings.silhouette_steps
        self.total += settings.joint_steps + settings.appearance_steps
        self.scales = scales_of(settings, evidence.fps)
        self.done = 0
        self.cut: dict[tuple[int, tuple[int, ...]], Crops] = {}

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
            lookout = self._lookout(phase, state)
            if phase_state is not None:
                phase.load_state_dict(phase_state)
                if lookout:
                    lookout.load_state_dict(phase_state["lookout"])
                phase_state = None
            self._carry_out(phase, lookout, state)
            state.phase = number + 1
            self._save(state, None)
        return self._result(state)

    def _fresh(self) -> _State:
        trajectory = self._trajectory(initial.filled_in(self.evidence))
        return _State(trajectory, self._gaussians(self.settings.gaussians))

    def _trajectory(self, start: tuple[Tensor, Tensor]) -> Trajectory:
        """The motion under optimisation, from the start's poses and trans."""
        return Trajectory(*self._sized(*start), self.body, self.scales)

    def _sized(self, poses: Tensor, trans: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The start with the shape that the optimisation begins with, the pelvis where it was; if the height
        is given, for a body of that height, and as much farther as it is taller."""
        shape, factor = initial.believable_shape(self.betas), 1.0
        if self.settings.height:
            shape, factor = with_height(self.body, shape, self.settings.height)
        before, after = (self.body.shaped_joints(b)[0] for b in (self.betas, shape))
        return poses.to(self.device), factor * (trans.to(self.device) + before) - after, shape

    def _gaussians(self, count: int) -> Gaussians:
        return Gaussians(spread(self.body, count, self.settings.seed).to(self.device))

    def _align(self, state: _State) -> None:
        """Phase 0: everything that can be known without rendering; anew without the frames that it shows to
        be of somebody else, whose masks would draw their neighbours away."""
        begin = self._sided(state, *self._screen(state))
        if not torch.equal(initial.believable_shape(self.betas), self.betas):
            largest = float(self.betas.abs().max())
            state.warnings.append(
                f"The initial motion has a body shape that nobody has (a coefficient of {largest:.0f}, where "
                "3 is rare already); the mean shape was taken instead."
            )
        ground = torch.zeros(4, device=self.device)
        while True:
            state.trajectory = self._trajectory(begin)
            boxes = self._boxes(state)
            state.losses = []
            for step, loss in enumerate(
                align(
                    state.trajectory,
                    boxes,
                    self._landmarks(),
                    self.evidence.fps,
                    self.settings,
                    ground,
                )
            ):
                if step % REPORT_EVERY == 0:
                    state.losses.append({"phase": "alignment", "step": step, "total": float(loss)})
                if self.done < self.settings.alignment_steps:
                    self._tell("alignment")
            if not self._drop_strangers(state, boxes):
                break
        state.mean_log_distance = float(state.trajectory.mean_log_distance().detach())
        state.ground = self._stood_on(state, ground)
        if state.dropped:
            frames = in_words(state.dropped)
            state.warnings.append(f"The mask is not where the person should be in {frames}, left out here.")

    @torch.no_grad()
    def _stood_on(self, state: _State, plane: Tensor) -> Tensor | None:
        """The plane, if most frames agree: where the camera moves there is no such plane in its space."""
        body = state.trajectory(slice(None))
        return plane if stands(plane, feet_positions(body.transforms, body.joints)) else None

    def _sided(self, state: _State, poses: Tensor, trans: Tensor) -> tuple[Tensor, Tensor]:
        """The start with left and right, front and back where the motion says that they are."""
        poses, trans = poses.to(self.device), trans.to(self.device)
        if not self.settings.put_right:
            return poses, trans
        shape = initial.believable_shape(self.betas)
        poses, state.put_right = put_right(poses, trans, shape, self.body)
        if state.put_right:
            state.warnings.append(told(state.put_right))
        return poses, trans

    def _boxes(self, state: _State) -> Boxes:
        """The boxes of the masks that are believed, against the body's."""
        known = self.boxes.copy()
        known[state.dropped] = np.nan
        height, width = self.evidence.masks[int(self.usable[0])].shape
        outline = spread(self.body, OUTLINE_POINTS, self.settings.seed).to(self.device)
        return Boxes(outline, known, (width, height), self.evidence.K)

    def _screen(self, state: _State) -> tuple[Tensor, Tensor]:
        """Drops masks of somebody else; gives a start without the poses that are somewhere else."""
        boxes = self._boxes(state)
        boxes.place(state.trajectory)
        body = boxes.visible_extent(state.trajectory(slice(None)), state.trajectory.betas)
        state.dropped, misplaced = screened(body.cpu().double().numpy(), self.boxes)
        posed = self.evidence.posed.copy()
        posed[misplaced] = False
        if not misplaced or not posed.any():
            return initial.filled_in(self.evidence)
        state.warnings.append(
            f"The initial pose is far from the person in {in_words(misplaced)}; its neighbours' was taken."
        )
        return initial.filled_in(replace(self.evidence, posed=posed))

    def _drop_strangers(self, state: _State, boxes: Boxes) -> bool:
        """Leaves out the frames whose mask is not where the whole clip says that the person is; whether
        there are any new ones."""
        body = boxes.visible_extent(state.trajectory(slice(None)), state.trajectory.betas)
        overlap = overlaps(body.cpu().double().numpy(), self.boxes)
        strangers = set(self.usable[overlap[self.usable] < MIN_OVERLAP].tolist())
        dropped = sorted(strangers.union(state.dropped))
        count = len(self.usable)
        if count - len(dropped) < MIN_FRAMES:
            raise StageError(
                f"Initial motion and masks disagree where the person is in {len(dropped)} of {count} frames.",
                "Check that both are of one person, and that K belongs to the pictures.",
            )
        found, state.dropped = len(dropped) > len(state.dropped), dropped
        return found

    def _prepare(self, name: str, state: _State) -> None:
        """What happens once between two phases."""
        if name == "joint":
            self._calibrate_depth(state)
        elif name == "appearance":
            fine = self._gaussians(max(self.settings.final_gaussians, len(state.gaussians)))
            if len(fine) > len(state.gaussians):
                state.gaussians = refined(state.gaussians, fine.surface)
        elif name == "held-out poses":
            if self.settings.bridge_held_out:
                self._bridge(state)
            poses, trans, _ = state.trajectory.motion()
            state.interpolated = poses, trans
            state.trajectory.part_frames()

    def _bridge(self, state: _State) -> None:
        """Puts the held-out frames between their neighbours: no picture has corrected them yet."""
        poses, trans, _ = (a.cpu().numpy() for a in state.trajectory.motion())
        known = np.ones(len(poses), bool)
        known[self._held_out(state)] = False
        betas = state.trajectory.betas.detach()
        bridged, moved = (a.to(self.device) for a in initial.between(poses, trans, known))
        state.trajectory = Trajectory(bridged, moved, betas, self.body, self.scales)

    def _lookout(self, phase: Phase, state: _State) -> Lookout | None:
        """For the phase in which the avatar alone learns, if there is anything to judge it by."""
        frames, settings = self._validation(state), self.settings
        if phase.plan.name != "appearance" or not frames:
            return None
        return Lookout(phase.scene, self._crops(settings.final_person_pixels, frames), settings.patience)

    def _carry_out(self, phase: Phase, lookout: Lookout | None, state: _State) -> None:
        plan, ended = phase.plan, phase.step_number >= phase.plan.steps
        while not ended:
            phase.step()
            step = phase.step_number
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
            self._tell(plan.name)
            if step % SAVE_EVERY == 0 and not ended:
                watched = lookout.state_dict() if lookout else None
                self._save(state, {**phase.state_dict(), "lookout": watched})
        if lookout:
            lookout.keep_best()
        self.done += plan.steps - phase.step_number

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
            mean_log_distance=None if state.metric else state.mean_log_distance,
            slope=state.slope,
            landmarks=self._landmarks(),
            ground=state.ground,
            use_depth=state.metric or state.slope is not None,
        )

    def _plan(self, name: str, state: _State) -> Plan:
        settings = self.settings
        held_out = self._held_out(state)
        training = [t for t in self._believed(state) if t not in held_out]
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
            warm_up=settings.warm_up_steps if joint else 0,
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

    def _believed(self, state: _State) -> list[int]:
        """Frames with a usable mask of the right person."""
        return [t for t in self.usable.tolist() if t not in state.dropped]

    def _held_out(self, state: _State) -> list[int]:
        """Evenly spaced frames that the avatar never sees."""
        frames = self._believed(state)
        count = int(self.settings.held_out * len(frames)) if len(frames) >= MIN_FRAMES_TO_HOLD_OUT else 0
        return [frames[int((i + 0.5) * len(frames) / count)] for i in range(count)]

    def _validation(self, state: _State) -> list[int]:
        """The held-out frames that decide when the avatar has learned enough; none without early stopping."""
        return self._held_out(state)[1::2] if self.settings.patience else []

    def _tested(self, state: _State) -> list[int]:
        """The held-out frames that decided nothing, for the figures."""
        validation = self._validation(state)
        return [t for t in self._held_out(state) if t not in validation]

    def _crops(self, pixels: int, frames: list[int]) -> Crops:
        """Kept, since several phases and the figures look at the same pictures."""
        key = (pixels, tuple(frames))
        if key not in self.cut:
            rows = np.array(frames, np.int64)
            self.cut[key] = Crops(self.evidence, self.boxes, rows, pixels, self.device)
        return self.cut[key]

    def _landmarks(self) -> Landmarks | None:
        return self._observed_landmarks() if self.settings.weights.landmarks else None

    def _observed_landmarks(self) -> Landmarks | None:
        if self.evidence.landmarks is None:
            return None
        return Landmarks(self.evidence.landmarks, self.evidence.K, self.person_size, self.device)

    # Depth

    @torch.no_grad()
    def _calibrate_depth(self, state: _State) -> None:
        """Fits the slope of relative maps; metric ones must put the person about where the pictures do."""
        evidence = self.evidence
        metric = evidence.disparity is None
        if (metric and evidence.depth is None) or not self.settings.weights.depth:
            return
        pairs = self._depths(state)
        if not pairs:
            state.warnings.append("The depth maps say nothing about the person and were not used.")
        elif metric:
            ratio = float(np.median(np.concatenate([depth * inverse for depth, inverse in pairs])))
            state.metric = 1 / UNLIKELY_DEPTH < ratio < UNLIKELY_DEPTH
            if not state.metric:
                state.warnings.append(
                    f"The depth maps put the person {ratio:.2g} times as far away as the pictures do, and "
                    "were not used; they must be in metres."
                )
        else:
            state.slope = fit_slope(pairs)
            if state.slope is None:
                state.warnings.append("The depth maps contradict the silhouettes and were not used.")

    def _depths(self, state: _State) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The maps' values and the rendered 1/z at the same pixels of the person, frame by frame."""
        scene, plan = self._scene(state), self._plan("silhouettes", state)
        pairs = []
        for t in plan.frames[:: math.ceil(len(plan.frames) / DEPTH_FRAMES)]:
            crop = plan.fine[t]
            drawn = scene.draw(state.trajectory(torch.tensor([t])).transforms, together([crop]))
            assert crop.depth is not None and crop.trusted is not None
            inside = crop.trusted & (drawn.alpha[0] > SOLID)
            if inside.sum() >= MIN_PIXELS:
                inverse = 1 / drawn.depth[0][inside].clamp_min(0.1)
                pairs.append((crop.depth[inside].double().cpu().numpy(), inverse.double().cpu().numpy()))
        return pairs

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
        avatar = self._avatar(state)
        verdict = self._judged(state, avatar)
        poses, trans = verdict.motion
        training = self._plan("appearance", state)
        seen = coverage(avatar, poses, trans, training.fine, training.frames)
        avatar = completed(replace(avatar, coverage=seen).to("cpu"))
        unseen = hardly_seen(avatar)
        joints = self.body.articulate(poses, trans, state.trajectory.betas.detach())[1]
        seen_poses, seen_joints = (a.cpu().numpy()[self._believed(state)] for a in (poses, joints))
        state.warnings += remarks(seen_poses, seen_joints, unseen)
        history = {
            "losses": state.losses,
            "warnings": state.warnings,
            "frames": {
                "usable": self.usable.tolist(),
                "held_out": self._tested(state),
                "validation": self._validation(state),
                "dropped": state.dropped,
                "put_right": state.put_right,
                "given_up": verdict.replaced,
            },
            "depth_slope": state.slope,
            "depth_used": state.metric or state.slope is not None,
            "size_from": self._size_from(state),
            "height": body_height(self.body, avatar.betas.to(self.device)),
            "on_ground": state.ground is not None,
            "hardly_seen": unseen,
            "held_out": self._comparison(state, avatar.to(self.device), verdict.motion),
            "agreement": verdict.figures,
        }
        before = state.interpolated
        interpolated = None if before is None else (before[0].cpu(), before[1].cpu())
        return Result(avatar, poses.cpu(), trans.cpu(), joints.cpu(), avatar.betas, history, interpolated)

    def _initial(self, avatar: Avatar) -> Placed:
        """The initial motion for the avatar's body, the pelvis where it was; as much farther as the body is
        taller, if the height is given."""
        poses, trans, shape = self._sized(*initial.filled_in(self.evidence))
        return Placed(poses, trans + self.body.shaped_joints(shape)[0] - avatar.rest_joints[0])

    def _judged(self, state: _State, avatar: Avatar) -> Verdict:
        """The refined motion against the initial one; what was given up is told in a warning."""
        crops = self._crops(self.settings.person_pixels, self._believed(state))
        refined = Placed(*state.trajectory.motion()[:2])
        start = self._initial(avatar)
        verdict = judged(avatar, self.body, start, refined, crops, self._observed_landmarks())
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

    def _size_from(self, state: _State) -> str:
        """What decides between small and near, tall and far."""
        if self.settings.height:
            return "given height"
        return "metric depth" if state.metric else "population prior"

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
    def _comparison(self, state: _State, avatar: Avatar, refined: Placed) -> dict[str, Any]:
        """PSNR, SSIM and IoU of the finished avatar on the tested frames, in their initial poses, in those
        that the neighbouring frames give them, and in those fitted to them; empty without such frames."""
        if state.interpolated is None:
            return {}
        motions = {
            "initial poses": self._initial(avatar),
            "interpolated poses": state.interpolated,
            "fitted poses": refined,
        }
        frames = self._tested(state)
        crops = self._crops(self.settings.final_person_pixels, frames)
        return {
            **{name: figures(avatar, *motion, crops, frames) for name, motion in motions.items()},
            "pictures": "tight crop over white, person at most "
            f"{self.settings.final_person_pixels} pixels large",
        }
