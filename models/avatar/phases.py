"""The phases that render: each moves the motion, the avatar, or both, a frame or a few a step."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from models.avatar.alignment import height_error, log_heights_away
from models.avatar.comparison import compare
from models.avatar.coupling import Coupling
from models.avatar.depth import depth_loss, point_loss
from models.avatar.gaussians import Gaussians
from models.avatar.landmarks import Landmarks
from models.avatar.losses import plausibility
from models.avatar.observations import Crop, Crops, together
from models.avatar.posing import pose_ellipsoids
from models.avatar.schedule import Draws, RowAdam, cosine
from models.avatar.settings import OptimiserSettings
from models.avatar.trajectory import Trajectory
from models.body.skinning import skin
from models.hmr.ground import feet_positions, standing_loss
from models.rasterizer import Rendering, render, ssim


@dataclass(frozen=True)
class Scene:
    """What all phases share.

    Attributes:
        trajectory, gaussians: under optimisation.
        fps: of the frames.
        settings: all of them.
        log_heights_away: `alignment.log_heights_away` as the alignment left it; None with metric depth.
        aligned_log_distance: the mean logarithm of the pelvis' z, where the alignment left it.
        slope: of the depth maps' inverse distance, at the size of the alignment; None for metric maps.
        use_depth: whether there are usable depth maps.
        landmarks: evidence of their own, if any.
        ground: (4,) the plane that the person stands on, as the alignment found it and at its size; None
            without one.
    """

    trajectory: Trajectory
    gaussians: Gaussians
    fps: float
    settings: OptimiserSettings
    log_heights_away: float | None
    aligned_log_distance: float
    slope: float | None
    use_depth: bool
    landmarks: Landmarks | None
    ground: Tensor | None

    def draw(self, transforms: Tensor, crop: Crop) -> Rendering:
        """The avatar under the transforms (B,24,4,4) of some frames, in the crop of these."""
        g = self.gaussians
        means, shapes = pose_ellipsoids(
            g.means(self.trajectory.betas), g.quaternions, g.log_scales, g.surface.weights, transforms
        )
        opacities = g.opacity_logits.sigmoid()
        return render(means, shapes, g.colors, opacities, crop.K, crop.width, crop.height)

    def to_aligned_size(self) -> Tensor:
        """The factor that brings camera space to the size that the alignment left it at.

        The ground and the slope of relative depth belong to that size and say nothing about it. Compared
        there, they neither hold nor move it.
        """
        return (self.aligned_log_distance - self.trajectory.mean_log_distance()).exp()

    def centres(self, transforms: Tensor) -> Tensor:
        """The Gaussians' centres (B,N,3) under the transforms (B,24,4,4), camera space."""
        g = self.gaussians
        return skin(g.means(self.trajectory.betas), g.surface.weights, transforms)


@dataclass(frozen=True)
class Plan:
    """One rendering phase.

    Attributes:
        name: as in the history.
        steps: how many.
        frames: that supply evidence.
        coarse, fine: pictures of them, coarse ones up to the step `coarse_until`, then fine.
        moves_motion, moves_shape, moves_avatar: what is optimised; avatar and motion share the shape.
        uses_color: whether colour and depth count, or the silhouette alone.
        smoothness: factor on the smoothness's weight.
        pace: factor on the learning rates.
        warm_up: steps until the motion's rates are whole.
        seed: of frame order and backgrounds.
    """

    name: str
    steps: int
    frames: list[int]
    coarse: Crops
    fine: Crops
    coarse_until: int
    moves_motion: bool
    moves_shape: bool
    moves_avatar: bool
    uses_color: bool
    smoothness: float
    pace: float
    warm_up: int
    seed: int


@dataclass
class Losses:
    """Sums of loss terms since they were last read; only that waits for the device."""

    sums: dict[str, Tensor] = field(default_factory=dict)
    count: int = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value.detach() if name in self.sums else value.detach()
        self.count += 1

    def read(self) -> dict[str, float]:
        sums = torch.stack(list(self.sums.values())).tolist()
        means = {name: value / self.count for name, value in zip(self.sums, sums, strict=True)}
        self.sums, self.count = {}, 0
        return means


class Timetable:
    """Which frames, and which others around them, every step of a phase looks at, on the device.

    Attributes:
        frames: (steps,B) that are compared with the pictures.
        around: (steps,B,3) each with its neighbours, for smoothness; less than 3 in shorter clips.
        middle: (steps,B) the frame's own place among these.
    """

    def __init__(self, frames: list[list[int]], count: int, device: torch.device) -> None:
        drawn = torch.tensor(frames)
        first = (drawn - 1).clamp(0, max(count - 3, 0))
        self.frames = drawn.to(device)
        self.around = (first[..., None] + torch.arange(min(3, count))).to(device)
        self.middle = (drawn - first).to(device)


class Phase:
    """A plan being carried out on a scene; its state can be saved between any two steps."""

    def __init__(self, scene: Scene, plan: Plan) -> None:
        rates, device = scene.settings.rates, scene.gaussians.offsets.device
        self.scene, self.plan = scene, plan
        per_step = scene.settings.frames_per_step
        self.draws = Draws(plan.frames, plan.steps, per_step, plan.seed, plan.uses_color)
        self.timetable = Timetable(self.draws.frames, len(scene.trajectory), device)
        backgrounds = self.draws.backgrounds
        self.backgrounds = None if backgrounds is None else backgrounds.to(device)
        self.factor = cosine(plan.steps)
        self.coupling = Coupling(scene.gaussians, scene.settings)
        self.losses = Losses()
        self.step_number = 0
        g, trajectory = scene.gaussians, scene.trajectory
        columns = [rates.rotation] * 72 + [rates.direction] * 2 + [rates.distance]
        motion_rates = torch.tensor(columns, device=device) * trajectory.paces
        self.motion_adam = RowAdam(trajectory.updates, motion_rates, trajectory.memory)
        groups: list[dict[str, Any]] = []
        if plan.moves_avatar:
            groups += [
                {"params": [g.offsets], "lr": rates.offset},
                {"params": [g.colors], "lr": rates.color},
                {"params": [g.log_scales], "lr": rates.scale},
                {"params": [g.quaternions], "lr": rates.turn},
                {"params": [g.opacity_logits], "lr": rates.opacity},
            ]
        if plan.moves_motion:
            groups.append({"params": [trajectory.betas], "lr": rates.shape if plan.moves_shape else 0.0})
        for parameter in (*g.parameters(), *trajectory.parameters()):
            parameter.requires_grad_(False)
            parameter.grad = None
        for parameter in (p for group in groups for p in group["params"]):
            parameter.requires_grad_(True)
        trajectory.updates.requires_grad_(plan.moves_motion)
        self.adam = torch.optim.Adam(groups, fused=True)
        self.first_rates = [group["lr"] for group in groups]

    def step(self) -> None:
        """Draws some frames, compares, moves. Waits for the device only where the renderer has to."""
        scene, plan, step = self.scene, self.plan, self.step_number
        crops = plan.coarse if step < plan.coarse_until else plan.fine
        crop = together([crops[t] for t in self.draws.frames[step]])
        terms = self._terms(crop)
        total = sum(terms.values(), torch.zeros((), device=crop.K.device))
        total.backward()
        self.losses.add({**terms, "total": total})
        factor = plan.pace * self.factor(step)
        for group, rate in zip(self.adam.param_groups, self.first_rates, strict=True):
            group["lr"] = rate * factor
        self.adam.step()
        self.adam.zero_grad()
        if plan.moves_motion:
            updates = scene.trajectory.updates
            assert updates.grad is not None
            rows = scene.trajectory.reached(self.timetable.frames[step])
            warmth = min((step + 1) / plan.warm_up, 1.0) if plan.warm_up else 1.0
            self.motion_adam.step(updates.grad, rows, warmth * factor)
            updates.grad = None
        if plan.moves_avatar:
            scene.gaussians.keep_displayable()
        self.step_number += 1

    def _terms(self, crop: Crop) -> dict[str, Tensor]:
        """The weighted losses of this step's frames by name, means over the frames."""
        scene, plan, w = self.scene, self.plan, self.scene.settings.weights
        around = self.timetable.around[self.step_number]
        middle = self.timetable.middle[self.step_number]
        body = scene.trajectory(around)
        transforms = body.transforms.take_along_dim(middle[:, None, None, None, None], 1)[:, 0]
        drawn = scene.draw(transforms, crop)
        if self.backgrounds is None:
            wrong = (drawn.alpha - crop.coverage()).square()
            terms = {"silhouette": w.silhouette * crop.mean(wrong)}
        else:
            compared = compare(drawn, crop, self.backgrounds[self.step_number])
            terms = {"silhouette": w.silhouette * compared.silhouette, "l1": w.l1 * compared.color}
            terms["dssim"] = w.dssim * (1 - ssim(compared.seen, compared.wanted, crop.sizes))
            if scene.use_depth and crop.depth is not None:
                size = 1.0 if scene.slope is None else scene.to_aligned_size()
                trust = w.depth if scene.slope is None else w.depth * w.depth_relative
                depth = size * drawn.depth
                terms["depth"] = trust * depth_loss(depth, drawn.alpha, crop, scene.slope, w.depth_low)
                if w.depth_points:
                    centres = size * scene.centres(transforms)
                    distance = point_loss(centres, depth, drawn.alpha, crop, scene.slope)
                    terms["depth points"] = w.depth_points * distance
        if plan.moves_motion:
            share = w.rendered_priors
            terms["plausibility"] = plausibility(
                body, scene.fps, plan.smoothness * w.smoothness, share * w.rotation_prior
            )
            terms["size"] = self._size()
            if w.ground and scene.ground is not None:
                joints, size = body.joints.flatten(0, 1), scene.to_aligned_size()
                feet = feet_positions(body.transforms.flatten(0, 1), joints)
                terms["ground"] = w.ground * standing_loss(scene.ground, size * feet, size * joints)
            if scene.landmarks is not None:
                fading = 1 - self.step_number / plan.steps if plan.moves_avatar else 1.0
                terms["landmarks"] = share * w.landmarks * fading * scene.landmarks.loss(body, around)
        if plan.moves_avatar:
            terms["coupling"] = self.coupling()
        return terms

    def _size(self) -> Tensor:
        """What holds size and distance, which one camera cannot tell apart."""
        scene, w = self.scene, self.scene.settings.weights
        trajectory = scene.trajectory
        total = w.shape_prior * trajectory.shape_misfit()
        if scene.log_heights_away is not None:
            apart = log_heights_away(trajectory) - scene.log_heights_away
            total = total + w.distance_anchor * apart.square()
        if scene.settings.height:
            total = total + w.height * height_error(trajectory.body, trajectory.betas, scene.settings.height)
        return total

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step_number,
            "adam": self.adam.state_dict(),
            "motion_adam": self.motion_adam.state_dict(),
            "losses": {"sums": dict(self.losses.sums), "count": self.losses.count},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step_number = state["step"]
        self.adam.load_state_dict(state["adam"])
        self.motion_adam.load_state_dict(state["motion_adam"])
        self.losses = Losses(**state["losses"])
