"""The motion under optimisation: what may move, and how a step at one frame reaches its neighbours."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.avatar import motion_kernels
from models.avatar.settings import OptimiserSettings
from models.body import BodyModel
from models.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from models.body.skinning import forward_kinematics

KERNEL_REACH = 3.0  # standard deviations


class Scale(NamedTuple):
    """One width over which the motion's updates are spread in time.

    Attributes:
        frames: standard deviation of the kernel; 0 moves every frame alone, infinity all of them alike.
        pace: factor on the learning rates.
        memory: factor on the number of steps that Adam's means look back upon.
    """

    frames: float
    pace: float = 1.0
    memory: float = 1.0


def scales_of(settings: OptimiserSettings, fps: float) -> list[Scale]:
    """The settings' scales for frames at `fps`; what many frames say together is remembered longer."""
    wider = (
        Scale(settings.wide_kernel_seconds * fps, settings.wide_pace, memory=2),
        Scale(math.inf, settings.clip_pace, memory=4),
    )
    return [Scale(settings.kernel_seconds * fps), *(scale for scale in wider if scale.pace)]


class BodyPose(NamedTuple):
    """Some frames of a trajectory, in camera space; "..." is the shape of the frames' indices.

    Attributes:
        transforms: (...,24,4,4) of the joints, from the rest pose, the translation included.
        trans: (...,3) that translation, metres.
        joints: (...,24,3) metres.
        turns: (...,24,3) axis-angle of each joint away from its start.
        log_distance: (...) the logarithm of the pelvis' z.
    """

    transforms: Tensor
    trans: Tensor
    joints: Tensor
    turns: Tensor
    log_distance: Tensor


class Trajectory(nn.Module):
    """A motion of T frames as small turns from a start, the pelvis by its ray and distance, and one shape.

    A joint's rotation is R_start exp(turn + (sum_k S_k u_k)_t): `turns` are moved by the alignment over the
    whole clip, the updates u_k by the rendering, which sees a frame or a few a step; S_k is a row-normalised
    Gaussian over time, so that evidence at one frame moves its neighbours too. Errors that neighbouring
    frames share are removed by the wide ones, with the evidence of all these frames. The pelvis (x/z, y/z,
    log z) likewise: the image decides the first two almost alone, and a relative change of the third means
    the same near and far. The distance is seen poorly in one frame, so the narrowest of several kernels
    leaves it alone.

    Attributes:
        likely_betas: (10,) the shape that the prior draws to.
        kernel: (T,K*T), all S_k beside each other. updates: (K*T,75), the u_k below each other.
        paces: (K*T,75) factors on the rates that `updates` move with; memory: (K*T,1), see `Scale`.
    """

    def __init__(
        self,
        poses: Tensor,
        trans: Tensor,
        betas: Tensor,
        body: BodyModel,
        scales: Sequence[Scale],
        likely_betas: Tensor | None = None,
    ) -> None:
        """
        Args:
            poses: (T,72) axis-angle, trans: (T,3) metres, betas: (10,): the start, camera space.
            body: supplies the skeleton for a shape.
            scales: K >= 1, the narrowest first.
            likely_betas: (10,) the shape that the prior draws to; None for the mean shape.
        """
        super().__init__()
        count = len(poses)
        self.body = body
        self.betas = nn.Parameter(betas.clone())
        pelvis = trans + body.shaped_joints(betas)[0]
        self.direction = nn.Parameter(pelvis[:, :2] / pelvis[:, 2:])
        self.distance = nn.Parameter(pelvis[:, 2:].log())
        self.turns = nn.Parameter(poses.new_zeros(count, 24, 3))
        self.updates = nn.Parameter(poses.new_zeros(len(scales) * count, 75))
        paces = torch.tensor([scale.pace for scale in scales])[:, None].repeat(1, 75)
        if len(scales) > 1:
            paces[0, 74] = 0
        memory = torch.tensor([scale.memory for scale in scales])[:, None]
        kernel = torch.cat([temporal_kernel(count, scale.frames) for scale in scales], dim=1)
        self.likely_betas: Tensor
        self.start: Tensor
        self.kernel: Tensor
        self.paces: Tensor
        self.memory: Tensor
        likely = torch.zeros_like(betas) if likely_betas is None else likely_betas.to(betas)
        self.register_buffer("likely_betas", likely.clone(), persistent=False)  # the start knows it
        self.register_buffer("start", axis_angle_to_matrix(poses.reshape(count, 24, 3)))
        self.register_buffer("kernel", kernel.to(poses))
        self.register_buffer("paces", paces.repeat_interleave(count, 0).to(poses))
        self.register_buffer("memory", memory.repeat_interleave(count, 0).to(poses))

    def __len__(self) -> int:
        return len(self.turns)

    def reached(self, frames: Tensor) -> Tensor:
        """Which rows of `updates` move any of the frames (B,): (K*T,) bool."""
        return (self.kernel[frames] > 0).any(0)

    def forward(self, frames: Tensor | slice) -> BodyPose:
        """The body's pose in frames (...), differentiable in turns, root, updates and betas."""
        turns, direction, distance = self._state(frames)
        rest = self.body.shaped_joints(self.betas)
        start, shape = self.start[frames], turns.shape[:-2]
        transforms, trans, joints = articulated(
            start.flatten(0, -4),
            turns.flatten(0, -3),
            direction.flatten(0, -2),
            distance.flatten(0, -2),
            rest,
            self.body.parents,
        )
        return BodyPose(
            transforms.unflatten(0, shape),
            trans.unflatten(0, shape),
            joints.unflatten(0, shape),
            turns,
            distance[..., 0],
        )

    def shape_misfit(self) -> Tensor:
        """Squared distance of the shape coefficients from the likely ones."""
        return (self.betas - self.likely_betas).square().sum()

    def mean_log_distance(self) -> Tensor:
        """The mean over all frames of the logarithm of the pelvis' z."""
        return self.distance.mean() + (self.kernel @ self.updates[:, 74]).mean()

    def _state(self, frames: Tensor | slice) -> tuple[Tensor, Tensor, Tensor]:
        """Turns (...,24,3), direction (...,2) and log distance (...,1), the neighbours' updates included."""
        update = self.kernel[frames] @ self.updates
        return (
            self.turns[frames] + update[..., :72].unflatten(-1, (24, 3)),
            self.direction[frames] + update[..., 72:74],
            self.distance[frames] + update[..., 74:],
        )

    @torch.no_grad()
    def settle(self) -> None:
        """Moves the updates into turns and root; the motion stays as it is."""
        for parameter, value in zip(
            (self.turns, self.direction, self.distance), self._state(slice(None)), strict=True
        ):
            parameter.copy_(value)
        self.updates.zero_()

    @torch.no_grad()
    def part_frames(self) -> None:
        """From now on an update moves its own frame alone; the motion stays as it is."""
        self.settle()
        self.kernel.zero_().fill_diagonal_(1)
        self.paces.fill_(1)
        self.memory.fill_(1)

    @torch.no_grad()
    def motion(self) -> tuple[Tensor, Tensor, Tensor]:
        """Poses (T,72), trans (T,3) and joints (T,24,3)."""
        body = self(slice(None))
        rotations = self.start @ axis_angle_to_matrix(body.turns)
        return matrix_to_axis_angle(rotations).flatten(1), body.trans, body.joints


def articulated(
    start: Tensor, turns: Tensor, direction: Tensor, distance: Tensor, rest: Tensor, parents: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Poses the skeleton by turns away from a start, the pelvis at a distance along a ray.

    On the CPU in single precision it is compiled code with its gradient written by hand, elsewhere PyTorch.

    Args:
        start: (B,24,3,3) rotations relative to the parents', a constant; turns: (B,24,3) axis-angle after it.
        direction: (B,2) of the pelvis, x/z and y/z; distance: (B,1) log z of it, metres.
        rest: (24,3) joints in the rest pose, metres.
        parents: of the joints, each before its children; -1 marks the root, which is the first.

    Returns:
        Transforms (B,24,4,4) from the rest pose, trans included; trans (B,3); joints (B,24,3).
    """
    if motion_kernels.fits(start, turns, direction, distance, rest) and not start.requires_grad:
        return motion_kernels.articulate(start, turns, direction, distance, rest, parents)
    z = distance.exp()
    trans = torch.cat((direction * z, z), dim=-1) - rest[0]
    transforms, joints = forward_kinematics(start @ axis_angle_to_matrix(turns), rest, parents)
    lift = torch.nn.functional.pad(trans[:, None, :, None], (3, 0, 0, 1))
    return transforms + lift, trans, joints + trans[:, None]


def temporal_kernel(count: int, sigma: float) -> Tensor:
    """Row-normalised Gaussian weights (T,T) between frames, zero beyond three standard deviations."""
    if sigma <= 0:
        return torch.eye(count)
    if math.isinf(sigma):
        return torch.full((count, count), 1 / count)
    frames = torch.arange(count, dtype=torch.float64)
    distance = (frames[:, None] - frames[None]).abs() / sigma
    weights = torch.exp(-0.5 * distance**2) * (distance <= KERNEL_REACH)
    return (weights / weights.sum(1, keepdim=True)).float()
