"""No motion may end worse than it began: start and refined motion judged by what can be known without truth.

The finished avatar is rendered in both motions and compared with pictures and masks, and the body with the 2D
landmarks. The avatar was learned in the refined poses, which favours them; so where they are clearly worse
all the same, something went wrong, and the refined pose is given up.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.avatar import Avatar
from models.avatar.initial import between
from models.avatar.landmarks import Landmarks
from models.avatar.observations import Crops
from models.body import BodyModel
from models.cameras import Camera
from models.metrics.image import iou

Array = NDArray[np.float64]

WORSE_OVERLAP = 0.05  # less of the silhouettes' intersection over union than the start has
WORSE_LANDMARKS = 0.1  # more of the landmarks' robust distance, which is at most 1
HARDLY_BETTER = 0.02  # more overlap: not enough to outweigh worse landmarks
NO_OVERLAP = 0.5  # a clip's median below it: masks and avatar have nothing to do with each other


class Placed(NamedTuple):
    """A motion for the avatar's own body: poses (T,72), trans (T,3)."""

    poses: Tensor
    trans: Tensor


@dataclass(frozen=True)
class Agreement:
    """How well a motion agrees with the evidence, (T,) each, NaN where there is none.

    Attributes:
        overlap: of the rendered avatar's silhouette with the mask, intersection over union.
        color: mean absolute difference of rendering and picture within the mask.
        landmarks: robust distance of the 2D landmarks, 0 to 1.
    """

    overlap: Array
    color: Array
    landmarks: Array

    def medians(self) -> dict[str, float | None]:
        """Over the frames with evidence; None where no frame has any."""
        return {
            name: float(np.nanmedian(values)) if np.isfinite(values).any() else None
            for name, values in vars(self).items()
        }

    def worse_than(self, start: "Agreement") -> NDArray[np.bool_]:
        """The frames (T,) where this motion agrees clearly less well than the start."""
        with np.errstate(invalid="ignore"):  # comparisons with what is unknown are false
            gain = self.overlap - start.overlap
            loss = self.landmarks - start.landmarks
            duller = ~(self.color < start.color)
            outline = (gain < -WORSE_OVERLAP) & duller & ~(loss < -WORSE_LANDMARKS)
            # Landmarks alone do not count: where they swap left and right, the pictures tell.
            limbs = (loss > WORSE_LANDMARKS) & duller & ~(gain > HARDLY_BETTER)
            return np.asarray(outline | limbs)


@dataclass(frozen=True)
class Verdict:
    """What the safeguard found.

    Attributes:
        motion: to be delivered.
        replaced: frames that got another pose than the refined one, rising.
        whole: whether the whole clip went back to its start.
        figures: JSON-able medians of start and refined motion.
    """

    motion: Placed
    replaced: list[int]
    whole: bool
    figures: dict[str, dict[str, float | None]]


@torch.no_grad()
def judged(
    avatar: Avatar, body: BodyModel, start: Placed, refined: Placed, crops: Crops, landmarks: Landmarks | None
) -> Verdict:
    """The refined motion, except where the start agrees clearly better with the evidence.

    Such a frame takes the pose between its neighbours' or its initial one, whichever overlaps the mask more.
    Where most frames are worse, or silhouettes and masks hardly overlap, the whole clip keeps its start.

    Args:
        avatar, body: as delivered, on one device; the body is the avatar's.
        start, refined: on the same device.
        crops: of the frames whose masks are believed.
        landmarks: 2D landmarks of all frames, if any.
    """
    before, after = (_agreement(avatar, body, motion, crops, landmarks) for motion in (start, refined))
    figures = {"start": before.medians(), "refined": after.medians()}
    worse, known = after.worse_than(before), np.isfinite(after.overlap) | np.isfinite(after.landmarks)
    overlap = figures["refined"]["overlap"]
    if 2 * worse.sum() > known.sum() or (overlap is not None and overlap < NO_OVERLAP):
        return Verdict(start, list(range(len(worse))), True, figures)
    replaced = np.flatnonzero(worse)
    if not len(replaced):
        return Verdict(refined, [], False, figures)
    filled = between(refined.poses.cpu().numpy(), refined.trans.cpu().numpy(), ~worse)
    bridged = Placed(*(a.to(refined.poses) for a in filled))
    bridge = _agreement(avatar, body, bridged, crops, landmarks)
    poses, trans = (a.clone() for a in refined)
    for t in replaced.tolist():
        better = start if before.overlap[t] > bridge.overlap[t] else bridged
        poses[t], trans[t] = better.poses[t], better.trans[t]
    return Verdict(Placed(poses, trans), replaced.tolist(), False, figures)


def _agreement(
    avatar: Avatar, body: BodyModel, motion: Placed, crops: Crops, landmarks: Landmarks | None
) -> Agreement:
    count = len(motion.poses)
    overlap, color, distance = (np.full(count, np.nan) for _ in range(3))
    for t in crops.frames.tolist():
        crop = crops[t]
        camera = Camera(crop.K, crop.width, crop.height)
        drawn = avatar.pose(motion.poses[t], motion.trans[t]).render(camera)
        mask, alpha = crop.coverage(), drawn[..., 3]
        overlap[t] = iou(alpha.cpu().numpy(), mask.cpu().numpy())
        wanted = crop.color() * mask[..., None]
        apart = (drawn[..., :3] - wanted).abs().mean(-1) * mask
        color[t] = float(apart.sum() / mask.sum().clamp_min(1))
    if landmarks is not None:
        distance = landmarks.distances(body, motion.poses, motion.trans, avatar.betas).cpu().double().numpy()
    return Agreement(overlap, color, distance)
