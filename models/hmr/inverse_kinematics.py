"""Body poses from BlazePose landmarks: inverse kinematics over a whole clip at once.

The unknowns are every frame's joint rotations and translation, and one shape for the clip. They are fitted
to where the landmarks lie in the picture and to the directions of the bones between the landmarks in 3D,
with smoothness over time, joints that turn little from frame to frame, a prior pose, joint limits, and a
floor that the lower foot stands on and over which the body keeps its balance.
"""

import itertools
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from models.body import JOINT_NAMES, BodyModel
from models.body.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from models.cameras import towards
from models.hmr import landmarks as sites
from models.hmr.ground import level_plane, robust, standing_loss, tilt_loss
from models.hmr.sides import with_steady_sides
from models.people.landmarks import Landmarks

Array = NDArray[np.float64]

BRIDGED_SECONDS = 1.0
ALIGN_STEPS, ALIGN_RATE = 40, 0.08
RATE, TRANSLATION_RATE, SHAPE_RATE, FLOOR_RATE = 0.05, 0.015, 0.1, 0.02

IMAGE_SCALE = 0.1  # metres at the person's depth; landmarks further off count less (Geman-McClure)
AGREEMENT = 0.06  # of the person's size in the picture: passes that differ by this count half
BONE_WEIGHT, BONE_SCALE = 0.07, 0.5
SMOOTHNESS, ROOT_SMOOTHNESS = 50.0, 4.0
STEADINESS, STEADY_TURN = 0.6, 0.1  # radians a frame: turns up to this cost by their square, larger linearly
PRIOR_WEIGHT, LIMIT_WEIGHT, SHAPE_WEIGHT = 0.2, 0.3, 0.02

_JOINT = {name: i for i, name in enumerate(JOINT_NAMES)}
# How firmly each joint is held to its usual angle.
_STIFFNESS = {
    "pelvis": 0.0, "hip": 0.15, "knee": 0.1, "ankle": 0.5, "foot": 3.0, "spine1": 1.0, "spine2": 1.0,
    "spine3": 1.0, "neck": 1.0, "head": 1.0, "collar": 1.5, "shoulder": 0.1, "elbow": 0.1, "wrist": 1.0,
    "hand": 10.0,
}  # fmt: skip
_USUAL = {
    "left_shoulder": (0.0, 0.0, -0.8), "right_shoulder": (0.0, 0.0, 0.8), "left_elbow": (0.0, -0.3, 0.0),
    "right_elbow": (0.0, 0.3, 0.0), "left_knee": (0.2, 0.0, 0.0), "right_knee": (0.2, 0.0, 0.0),
}  # fmt: skip
_STIFF = torch.tensor([_STIFFNESS[name.split("_")[-1]] for name in JOINT_NAMES])
_USUAL_POSE = torch.tensor([_USUAL.get(name, (0.0, 0.0, 0.0)) for name in JOINT_NAMES])
_KNEES = [_JOINT["left_knee"], _JOINT["right_knee"]]
_ELBOWS = [_JOINT["left_elbow"], _JOINT["right_elbow"]]
_LIMITED = [_JOINT[n] for n in ("left_collar", "right_collar", "left_ankle", "right_ankle")]
_LIMITED_ANGLE = torch.tensor([0.5, 0.5, 0.8, 0.8])
_LARGEST_BEND = 2.6  # radians, of knees and elbows


@dataclass(frozen=True, eq=False)
class PoseFit:
    """T frames of a fitted body in camera space.

    Attributes:
        poses: (T, 72) axis-angle radians.
        trans: (T, 3) metres.
        betas: (10,).
        joints: (T, 24, 3) metres.
        height: metres, standing.
        valid: (T,) bool, where the person was seen; elsewhere the pose is a bridge, or the nearest one held.
        reprojection: (T,) mean distance of the body's landmarks from the seen ones, pixels; NaN where unseen.
    """

    poses: Array
    trans: Array
    betas: Array
    joints: Array
    height: float
    valid: NDArray[np.bool_]
    reprojection: Array


def fit_poses(
    landmarks: Landmarks,
    K: Array,
    fps: float,
    body: BodyModel,
    height: float | None = None,
    steps: int = 300,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PoseFit:
    """Fits the body to a clip's landmarks.

    Gaps of up to a second are bridged by the smoothness terms; over longer ones nothing is fitted.

    Args:
        landmarks: of T frames; at least one must be seen.
        K: (3, 3) intrinsics of the picture that the landmarks speak of.
        fps: of the frames, evenly spaced.
        body: to be fitted.
        height: the person's, metres, standing; None lets the shape find it.
        steps: of the main descent.
        progress: told steps done and their total.

    Raises:
        ValueError: the person is seen nowhere.
    """
    seen = np.any(landmarks.valid, axis=0)
    if not seen.any():
        raise ValueError("the person is seen in no frame")
    frames = _bridged(seen, fps)
    problem = _Problem(with_steady_sides(landmarks), np.asarray(K, np.float64), fps, body, height, frames)
    with torch.enable_grad():
        problem.align(progress, steps)
        problem.descend(steps, progress)
    return problem.result(len(seen), seen)


def standing_height(body: BodyModel, betas: Tensor) -> Tensor:
    """Metres from sole to crown of the body of shape betas (10,) in the rest pose."""
    up = body.shape(betas)[0][:, 1]
    return up.max() - up.min()


def with_height(body: BodyModel, betas: Tensor, height: float) -> Tensor:
    """The shape nearest to betas (10,) whose standing height is `height` metres."""
    betas = betas.detach()
    for _ in range(5):
        slope = _height_slope(body, betas)
        betas = betas + slope * (height - standing_height(body, betas)) / slope.square().sum()
    return betas


def _height_slope(body: BodyModel, betas: Tensor) -> Tensor:
    """(10,) metres of standing height per unit of each shape coefficient."""
    with torch.enable_grad():
        betas = betas.detach().requires_grad_()
        return torch.autograd.grad(standing_height(body, betas), betas)[0]


def _bridged(seen: NDArray[np.bool_], fps: float) -> NDArray[np.intp]:
    """The frames to fit: those seen and those in gaps of up to BRIDGED_SECONDS between them."""
    found = np.flatnonzero(seen)
    fitted = seen.copy()
    for before, after in itertools.pairwise(found):
        if after - before - 1 <= BRIDGED_SECONDS * fps:
            fitted[before:after] = True
    return np.flatnonzero(fitted)


def _torso_orientation(world: Array) -> Array:
    """(T, 3, 3) whose columns are the person's left, up and forward, from landmarks (T, len(SITES), 3)."""
    left_shoulder, right_shoulder, left_hip, right_hip = (world[:, i] for i in sites.TORSO)
    up = left_shoulder + right_shoulder - left_hip - right_hip
    left = left_hip - right_hip + left_shoulder - right_shoulder
    up /= np.linalg.norm(up, axis=-1, keepdims=True) + 1e-9
    left -= (left * up).sum(-1, keepdims=True) * up
    left /= np.linalg.norm(left, axis=-1, keepdims=True) + 1e-9
    return np.stack([left, up, np.cross(left, up)], -1)


def _agreement(points: Array, valid: NDArray[np.bool_]) -> Array:
    """(F, L) how far to trust the landmarks, 1 on average: less where the N passes (N, F, L, 2) differ.

    The mean weight is kept, or the prior would gain where all of them are uncertain.
    """
    known = np.where(valid[..., None, None], points, np.nan)
    with warnings.catch_warnings(action="ignore"):  # frames that no pass saw
        middle = np.nanmedian(known, axis=0)
        spread = np.sqrt(np.nanmean(((known - middle) ** 2).sum(-1), axis=0))
        size = np.nanmedian(np.ptp(middle[..., 1], axis=1))
    trust = 1 / (1 + np.nan_to_num(spread / max(size, 1e-6) / AGREEMENT) ** 2)
    return np.asarray(trust / trust.mean())


def _limit_loss(angles: Tensor) -> Tensor:
    """How far joints (T, 24, 3) bend where they cannot: mean over frames of squared radians."""
    knee = angles[:, _KNEES]
    loss = (knee[..., 0] - knee[..., 0].clamp(0, _LARGEST_BEND)).square() + 0.3 * knee[..., 1:].square().sum(
        -1
    )
    elbow = angles[:, _ELBOWS, 1] * angles.new_tensor([-1.0, 1.0])
    loss = loss + (elbow - elbow.clamp(0, _LARGEST_BEND)).square()
    turned = angles[:, _LIMITED].norm(dim=-1)
    return loss.sum(-1).mean() + torch.relu(turned - _LIMITED_ANGLE.to(angles)).square().sum(-1).mean()


class _Problem:
    """The unknowns and the observations of F fitted frames; N observations of each."""

    def __init__(
        self,
        landmarks: Landmarks,
        K: Array,
        fps: float,
        body: BodyModel,
        height: float | None,
        frames: NDArray[np.intp],
    ) -> None:
        self.body, self.height, self.frames = body, height, frames
        self.focal = float(K[0, 0] + K[1, 1]) / 2
        self.tempo = fps / 15
        # Second differences exist where three frames follow one another.
        self.inner = torch.from_numpy(frames[2:] - frames[:-2] == 2)
        self.following = torch.from_numpy(np.diff(frames) == 1)

        valid = landmarks.valid[:, frames]
        image = np.where(valid[..., None, None], landmarks.image[:, frames][:, :, sites.NUMBERS], 0)
        world = np.where(valid[..., None, None], landmarks.world[:, frames][:, :, sites.NUMBERS], 0)
        visibility = image[..., 2]
        points = (image[..., :2] - K[:2, 2]) / np.array([K[0, 0], K[1, 1]])
        rays = np.concatenate([points[:, :, sites.TORSO].mean(2), np.ones((*valid.shape, 1))], -1)
        # BlazePose looks along the ray through the person, not along the optical axis.
        turn = towards(rays)
        bones, start_bones = (
            torch.from_numpy(np.einsum("ntij,ntbj->ntbi", turn, sites.network_bones(world, start))).float()
            for start in (False, True)
        )
        world = np.einsum("ntij,ntlj->ntli", turn, world)

        self.points = torch.from_numpy(points).float()
        self.seen = torch.from_numpy(valid)
        trust = visibility * _agreement(image[..., :2], valid)
        self.image_weight = torch.from_numpy(trust).float() * sites.WEIGHTS
        ends = torch.tensor(sites.BONES)
        self.bone_weight = torch.from_numpy(visibility).float()[:, :, ends].amin(-1) * sites.BONE_WEIGHTS
        self.bones, self.start_bones = sites.directions(bones), sites.directions(start_bones)

        count = body.joint_dirs.shape[-1]
        self.start_betas, self.free = torch.zeros(count), torch.zeros(count)
        self.freedom = torch.eye(count)
        if height:
            self.start_betas = with_height(body, self.start_betas, height)
            growth = torch.nn.functional.normalize(_height_slope(body, self.start_betas), dim=0)
            self.freedom -= growth[:, None] * growth
        self.orientation = torch.from_numpy(self._start_orientation(world, valid)).float()
        self.angles = _USUAL_POSE.expand(len(frames), -1, -1).clone()
        self.trans = torch.zeros(len(frames), 3)

    def _start_orientation(self, world: Array, valid: NDArray[np.bool_]) -> Array:
        """The torso's orientation in every fitted frame, interpolated over those unseen."""
        known = np.flatnonzero(valid.any(0))
        mean = world[:, known].sum(0) / valid[:, known].sum(0)[:, None, None]
        turns = Rotation.from_matrix(_torso_orientation(mean))
        if len(known) == 1:
            return np.repeat(turns.as_matrix(), valid.shape[1], 0)
        return Slerp(self.frames[known], turns)(self.frames).as_matrix()

    def align(self, progress: Callable[[int, int], None], steps: int) -> None:
        """Turns the limbs to the directions seen, then puts the person where the picture shows them."""
        self.angles.requires_grad_()
        optimizer = torch.optim.Adam([self.angles], ALIGN_RATE)
        weight = BONE_WEIGHT / BONE_SCALE**2
        for _ in range(ALIGN_STEPS):
            _, joints, landmarks = self._pose()
            apart = (sites.bone_directions(landmarks) - self.start_bones).square().sum(-1)
            loss = weight * self._mean(self.bone_weight * apart)
            loss = loss + 0.05 * self._smoothness(joints, 4.0) + self._anatomy()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        progress(ALIGN_STEPS, ALIGN_STEPS + steps)
        with torch.no_grad():
            self.trans = self._start_translation(self._pose()[2])

    def descend(self, steps: int, progress: Callable[[int, int], None]) -> None:
        """The main descent: all unknowns, the residuals' scale tightening over the first three eighths."""
        self.trans.requires_grad_()
        self.free.requires_grad_()
        with torch.no_grad():
            self.floor = level_plane(self._pose()[2][:, sites.FEET])
        self.floor.requires_grad_()
        unknowns = [self.angles, self.trans, self.free, self.floor]
        rates = [RATE, TRANSLATION_RATE, SHAPE_RATE, FLOOR_RATE]
        optimizer = torch.optim.Adam([{"params": [u], "lr": r} for u, r in zip(unknowns, rates, strict=True)])
        for step in range(steps):
            fade = max(0.5 * (1 + math.cos(math.pi * step / steps)), 0.02)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * fade
            loss = self._loss(widening=max(1.0, 4 - 8 * step / steps))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 20 == 19:
                progress(ALIGN_STEPS + step + 1, ALIGN_STEPS + steps)

    @property
    def betas(self) -> Tensor:
        """(10,) the shape; where the height is known it moves only in directions that keep it."""
        return self.start_betas + self.freedom @ self.free

    def _loss(self, widening: float) -> Tensor:
        rotations, joints, landmarks = self._pose()
        depth = landmarks[..., 2:].clamp_min(0.1)
        # Metres at the person's depth; held constant, or coming nearer would lessen the error.
        off = (landmarks[..., :2] / depth - self.points) * depth.detach()
        image = self._mean(self.image_weight * robust(off.square().sum(-1), IMAGE_SCALE, widening))
        apart = (sites.bone_directions(landmarks) - self.bones).square().sum(-1)
        bones = self._mean(self.bone_weight * robust(apart, BONE_SCALE, widening))
        size = float(joints[:, 0, 2].detach().mean()) / 4
        return (
            image
            + BONE_WEIGHT * bones
            + self._smoothness(joints, size)
            + self._unsteadiness(rotations)
            + self._anatomy()
            + SHAPE_WEIGHT * self.betas.square().sum()
            + standing_loss(self.floor, landmarks[:, sites.FEET], joints, widening)
            + tilt_loss(self.floor)
        )

    def _pose(self) -> tuple[Tensor, Tensor, Tensor]:
        """Rotations (F, 24, 3, 3), joints (F, 24, 3) and landmarks (F, len(SITES), 3)."""
        rotations = axis_angle_to_matrix(self.angles)
        rotations = torch.cat([(self.orientation @ rotations[:, 0])[:, None], rotations[:, 1:]], 1)
        transforms, joints = self.body.articulate(rotations, self.trans, self.betas)
        return rotations, joints, sites.landmark_positions(transforms, joints)

    def _mean(self, terms: Tensor) -> Tensor:
        """Terms (N, F, ...) summed over landmarks, averaged over the frames seen in each observation."""
        return terms.sum(-1)[self.seen].mean()

    def _smoothness(self, joints: Tensor, size: float) -> Tensor:
        """Squared second differences over time, as if at 15 frames a second and with the person 4 m away.

        The latter because a smaller person nearer by, who looks the same, moves less.
        """
        if not self.inner.any():
            return joints.new_zeros(())
        change = (joints[2:] - 2 * joints[1:-1] + joints[:-2])[self.inner].square().sum(-1) * self.tempo**2
        return (SMOOTHNESS * change.mean() + ROOT_SMOOTHNESS * change[:, 0].mean()) / size**2

    def _unsteadiness(self, rotations: Tensor) -> Tensor:
        """How much joints (F, 24, 3, 3) turn from frame to frame, sum over all but the pelvis, robust.

        Whoever turns around shows a limb that keeps its place in the body from many sides, which tells its
        depth better than the landmarks do.
        """
        if not self.following.any():
            return rotations.new_zeros(())
        change = (rotations[1:, 1:] - rotations[:-1, 1:])[self.following]
        turns = change.square().sum((-1, -2)) / 2 * self.tempo**2
        return STEADINESS * ((turns + STEADY_TURN**2).sqrt() - STEADY_TURN).sum(-1).mean()

    def _anatomy(self) -> Tensor:
        usual = (self.angles - _USUAL_POSE).square().sum(-1) @ _STIFF
        return PRIOR_WEIGHT * usual.mean() + LIMIT_WEIGHT * _limit_loss(self.angles)

    def _start_translation(self, landmarks: Tensor) -> Tensor:
        """(F, 3) where the posed body, standing at the origin, must go to look as seen: linear least squares.

        Every landmark gives two equations x (Z + t_z) = X + t_x; depths are made steady by a running median.
        """
        body = landmarks.double().numpy()
        points = self.points.double().numpy()
        weight = (self.image_weight * self.seen[..., None]).double().numpy()
        equations = np.zeros((*points.shape, 3))
        equations[..., 0, 0] = equations[..., 1, 1] = 1
        equations[..., 2] = -points
        right = points * body[..., 2:] - body[..., :2]
        normal = np.einsum("nfl,nflki,nflkj->fij", weight, equations, equations)
        solved = np.einsum("nfl,nflki,nflk->fi", weight, equations, right)
        known = np.flatnonzero(self.seen.any(0).numpy())
        trans = np.linalg.solve(normal[known], solved[known][..., None])[..., 0]
        steady = np.array([np.median(trans[max(0, i - 5) : i + 6, 2]) for i in range(len(known))])
        trans *= (np.maximum(steady, 0.1) / np.maximum(trans[:, 2], 0.1))[:, None]
        times = self.frames
        between = [np.interp(times, times[known], trans[:, axis]) for axis in range(3)]
        return torch.from_numpy(np.stack(between, -1)).float()

    @torch.no_grad()
    def result(self, length: int, seen: NDArray[np.bool_]) -> PoseFit:
        """The fit spread over all `length` frames of the clip."""
        if self.height:
            self.start_betas = with_height(self.body, self.betas, self.height)
            self.free = torch.zeros_like(self.start_betas)
        rotations, joints, landmarks = self._pose()
        poses = torch.cat([matrix_to_axis_angle(rotations[:, :1]), self.angles[:, 1:]], 1).flatten(1)
        depth = landmarks[..., 2:].clamp_min(0.1)
        off = self.focal * (landmarks[..., :2] / depth - self.points).norm(dim=-1).mean(-1)
        error = torch.where(self.seen, off, 0).sum(0) / self.seen.sum(0)
        # Frames that were not fitted hold the nearest fitted one's pose.
        nearest = np.abs(np.arange(length)[:, None] - self.frames).argmin(1)
        spread = [array.detach().double().numpy()[nearest] for array in (poses, self.trans, joints, error)]
        spread[3][~seen] = np.nan
        return PoseFit(
            poses=spread[0],
            trans=spread[1],
            betas=self.betas.detach().double().numpy(),
            joints=spread[2],
            height=float(standing_height(self.body, self.betas)),
            valid=seen,
            reprojection=spread[3],
        )
