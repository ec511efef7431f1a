"""The first phase, without rendering: the motion of the whole clip against boxes and landmarks, smoothly.

Single-frame estimates jitter, and some frames are grossly wrong. Rendering them would teach the avatar
ghosts; a robust fit of all frames at once removes both in seconds.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.landmarks import Landmarks
from models.avatar.losses import geman_mcclure, plausibility, project
from models.avatar.schedule import cosine
from models.avatar.settings import OptimiserSettings
from models.avatar.surface import SurfacePoints
from models.avatar.trajectory import BodyPose, Trajectory
from models.body import BodyModel
from models.hmr.ground import feet_positions, level_plane, standing_loss, tilt_loss

RESIDUAL_SCALE = 0.05  # of the person's typical size in the picture: where the robust terms level off
FIRST_WIDTH = 4.0  # of the robust terms, so that a start a metre off is still drawn in
WIDE_SHARE = 0.4  # of the steps, until the width is 1
GROUND_RATE = 0.01
FAR_OFF, WIDTH_FAR_OFF = 1.2, 1.3  # between heights, widths of body and mask: the start's distance is wrong
HEIGHT_SCALE = 0.05  # metres
CLOTHES = 0.015  # metres that hair, shoes and clothes add to the body in a mask, on the average over its box
REFRESH = 5  # steps between two searches for the outermost points


class Boxes:
    """The robust distance between the masks' boxes and those of the projected body.

    The body is clothed: bare, it would fill the mask from too near, by 2 % of the distance.
    """

    def __init__(
        self,
        points: SurfacePoints,
        boxes: NDArray[np.float64],
        picture: tuple[int, int],
        K: NDArray[np.float64],
    ) -> None:
        """
        Args:
            points: on the surface, whose outermost ones make the body's box.
            boxes: (T,4) pixels, NaN where unknown. A side on the edge of the picture (width, height) says
                nothing: the person may go on beyond it.
        """
        device = points.template.device
        limits = np.array([0, 0, *picture], float)
        known = np.isfinite(boxes) & (np.abs(boxes - limits) > 2)
        sizes = (boxes[:, 2:] - boxes[:, :2]).max(1)
        self.size = float(np.nanmedian(sizes))
        self.points = points
        self.picture = torch.tensor(picture, dtype=torch.float32, device=device)
        self.boxed = torch.from_numpy(np.isfinite(boxes).all(1)).to(device)
        self.known = torch.from_numpy(known).to(device)
        self.targets = torch.from_numpy(np.nan_to_num(boxes)).float().to(device)
        self.K = torch.from_numpy(K).float().to(device)
        self.outermost: Tensor | None = None

    def loss(self, body: BodyPose, betas: Tensor, refresh: bool, width: float) -> Tensor:
        """Geman-McClure of the four sides' distances, sum over sides, mean over frames with a box.

        Args:
            refresh: whether to look for the outermost points anew.
            width: factor on the distance at which the term levels off.
        """
        if refresh or self.outermost is None:
            with torch.no_grad():
                everywhere = self._project(body, betas, None)
                low, high = everywhere.argmin(1), everywhere.argmax(1)
                self.outermost = torch.cat((low, high), dim=1)
        sides = self._project(body, betas, self.outermost)
        sides = torch.stack([sides[:, side, side % 2] for side in range(4)], dim=1)
        residual = (sides - self.targets) / (width * RESIDUAL_SCALE * self.size)
        return (geman_mcclure(residual) * self.known).sum() / self.known.any(1).sum().clamp_min(1)

    @torch.no_grad()
    def place(self, trajectory: Trajectory) -> None:
        """Moves the clip as a whole to where the masks are: by the median distance of the boxes' sides, and
        first along the rays where the body looks much larger or smaller than the masks."""
        ratio = self._size_ratio(self.extent(trajectory(slice(None)), trajectory.betas))
        trajectory.distance.add_(math.log(ratio))
        apart = self.targets - self.extent(trajectory(slice(None)), trajectory.betas)
        apart = torch.where(self.known, apart, torch.nan).unflatten(1, (2, 2))
        offset = apart.nanmean(1).nanmedian(0).values.nan_to_num()
        trajectory.direction.add_(offset / self.K.diagonal()[:2])

    def _size_ratio(self, extent: Tensor) -> float:
        """Size of the boxes (T,4) of the body over that of the masks, median over the clip; 1 where it is
        about 1. Heights tell; widths, which depend on arms and clothes, where heights are cut off."""
        sizes, targets = (boxes[:, 2:] - boxes[:, :2] for boxes in (extent, self.targets))
        for axis, unlike in ((1, FAR_OFF), (0, WIDTH_FAR_OFF)):
            whole = self.known[:, axis] & self.known[:, axis + 2]
            if 2 * whole.sum() >= self.boxed.sum():
                ratio = float((sizes[whole, axis] / targets[whole, axis]).median())
                return ratio if max(ratio, 1 / ratio) > unlike else 1.0
        return 1.0

    @torch.no_grad()
    def extent(self, body: BodyPose, betas: Tensor) -> Tensor:
        """Boxes (T,4) of the body in pixels, beyond the picture's edge too."""
        everywhere = self._project(body, betas, None)
        return torch.cat((everywhere.amin(1), everywhere.amax(1)), dim=1)

    @torch.no_grad()
    def visible_extent(self, body: BodyPose, betas: Tensor) -> Tensor:
        """Boxes (T,4) of the body in pixels, cut at the picture."""
        return self.extent(body, betas).clamp_min(0).minimum(self.picture.repeat(2))

    def _project(self, body: BodyPose, betas: Tensor, index: Tensor | None) -> Tensor:
        """Pixels (T,n,2) of all points, or of those in index (T,n), which differ from frame to frame."""
        rest = self.points.shaped(betas) + CLOTHES * self.points.normals
        weights = self.points.weights
        if index is not None:
            rest, weights = rest[index], weights[index]
        blended = (weights @ body.transforms[:, :, :3].flatten(2)).unflatten(-1, (3, 4))
        placed = (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]
        return project(placed, self.K)


@torch.no_grad()
def body_height(body: BodyModel, betas: Tensor) -> float:
    """Metres from sole to crown of the body of shape betas (10,) in the rest pose."""
    return float(_height_of(body, betas))


def _of_constant_size(body: BodyPose) -> BodyPose:
    """The same in value, but taken relative to the mean distance: accelerations in metres would shrink the
    body and bring it nearer, since it then moves less."""
    mean = body.log_distance.mean()
    return body._replace(joints=body.joints * (mean.detach() - mean).exp())


def height_error(body: BodyModel, betas: Tensor, height: float) -> Tensor:
    """Squared difference of the body's height in the rest pose from the known one, in units of 5 cm."""
    return ((_height_of(body, betas) - height) / HEIGHT_SCALE).square()


def with_height(body: BodyModel, betas: Tensor, height: float) -> tuple[Tensor, float]:
    """The nearest shape of that height, and the factor by which the person grows."""
    template, slope = _height(body)
    before = template + slope @ betas
    return betas + slope * (height - before) / slope.square().sum(), height / float(before)


def log_heights_away(trajectory: Trajectory) -> Tensor:
    """The logarithm of the pelvis' distance in heights of the body, its mean over the frames.

    The person's size in the picture tells it, whether they are small and near or tall and far.
    """
    return trajectory.mean_log_distance() - _height_of(trajectory.body, trajectory.betas).log()


def _height_of(body: BodyModel, betas: Tensor) -> Tensor:
    template, slope = _height(body)
    return template + slope @ betas


@lru_cache(maxsize=4)
def _height(body: BodyModel) -> tuple[Tensor, Tensor]:
    """The mean body's height in metres, and its derivative (10,) by the shape coefficients.

    Kept, for finding the highest point would wait for the device at every step."""
    upright = body.v_template[:, 1]
    top, bottom = int(upright.argmax()), int(upright.argmin())
    return upright[top] - upright[bottom], body.shapedirs[top, 1] - body.shapedirs[bottom, 1]


def align(
    trajectory: Trajectory,
    boxes: Boxes,
    landmarks: Landmarks | None,
    fps: float,
    settings: OptimiserSettings,
    ground: Tensor,
) -> Iterator[Tensor]:
    """Moves the trajectory, first as a whole to where the masks are; yields the loss after every step.

    The plane (4,) that the person stands on, in camera space, is found on the way and put into `ground`.

    Distances are anchored by nothing here but the boxes, the prior on shape and, where given, the height.
    Without any steps the trajectory stays where it is, and the ground is level.
    """
    w, rates = settings.weights, settings.rates
    if settings.alignment_steps:
        boxes.place(trajectory)
    with torch.no_grad():
        body = trajectory(slice(None))
        ground.copy_(level_plane(feet_positions(body.transforms, body.joints)))
    plane = ground.clone().requires_grad_()
    optimiser = torch.optim.Adam(
        [
            {"params": [trajectory.turns], "lr": rates.rotation},
            {"params": [trajectory.direction], "lr": rates.direction},
            {"params": [trajectory.distance], "lr": rates.distance},
            {"params": [trajectory.betas], "lr": rates.shape},
            {"params": [plane], "lr": GROUND_RATE},
        ]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, cosine(settings.alignment_steps))
    for step in range(settings.alignment_steps):
        body = trajectory(slice(None))
        width = 1 + (FIRST_WIDTH - 1) * max(0.0, 1 - step / (WIDE_SHARE * settings.alignment_steps))
        loss = w.box * boxes.loss(body, trajectory.betas, step % REFRESH == 0, width)
        loss = loss + plausibility(_of_constant_size(body), fps, w.smoothness, w.rotation_prior)
        loss = loss + w.shape_prior * trajectory.shape_misfit()
        if settings.height:
            loss = loss + w.height * height_error(trajectory.body, trajectory.betas, settings.height)
        if landmarks is not None:
            loss = loss + w.landmarks * landmarks.loss(body, slice(None), width)
        if w.ground:
            feet = feet_positions(body.transforms, body.joints)
            standing = standing_loss(plane, feet, body.joints, width)
            loss = loss + w.ground * (standing + tilt_loss(plane))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        ground.copy_(plane.detach())
        schedule.step()
        yield loss.detach()
