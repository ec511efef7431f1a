"""2D landmarks as evidence: strong while nothing is rendered, fading once pictures say more."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.losses import project
from models.avatar.trajectory import BodyPose
from models.body import BodyModel
from models.hmr.landmarks import NUMBERS, WEIGHTS, landmark_positions

RESIDUAL_SCALE = 0.05  # of the person's typical size in the picture: where the term levels off


class Landmarks:
    """The robust distance between BlazePose's landmarks and the same places on the projected body."""

    def __init__(
        self, observed: NDArray[np.floating], K: NDArray[np.float64], size: float, device: torch.device
    ) -> None:
        """
        Args:
            observed: (P,T,33,3) of P passes: x, y in pixels and visibility; not finite = unseen.
            K: (3,3) of these pixels. size: the person's typical size, pixels.
        """
        known = np.isfinite(observed).all(-1, keepdims=True)
        places = torch.from_numpy(np.where(known, observed, 0).astype(np.float32))[:, :, NUMBERS].to(device)
        self.places = places[..., :2]
        self.weights = places[..., 2].clamp(0, 1) * WEIGHTS.to(device)
        self.K = torch.from_numpy(K).float().to(device)
        self.scale = RESIDUAL_SCALE * size

    def loss(self, body: BodyPose, frames: Tensor | slice, width: float = 1.0) -> Tensor:
        """Geman-McClure of the distances, mean over landmarks by visibility.

        Args:
            body: the pose in `frames`, (T,) or a slice; or (B,T), then it is the mean of each run's own.
            width: factor on the distance at which the term levels off.
        """
        costs = self._costs(body.transforms, body.joints, frames, width)
        weights = self.weights[:, frames]
        if weights.ndim == 3:
            weights, costs = weights[:, None], costs[:, None]
        total = (weights * costs).sum((0, 2, 3))
        return (total / weights.sum((0, 2, 3)).clamp_min(1)).mean()

    def distances(self, body: BodyModel, poses: Tensor, trans: Tensor, betas: Tensor) -> Tensor:
        """The same for each frame of a motion, (T,) in 0 to 1; NaN where no landmark was seen.

        Args:
            poses: (T,72), trans: (T,3), betas: (10,) of `body`.
        """
        costs = self._costs(*body.articulate(poses, trans, betas), slice(None), 1.0)
        weights = self.weights.sum((0, 2))
        return (self.weights * costs).sum((0, 2)) / torch.where(weights > 0, weights, torch.nan)

    def _costs(self, transforms: Tensor, joints: Tensor, frames: Tensor | slice, width: float) -> Tensor:
        """Geman-McClure (P,...,L) of the landmarks' distances in some frames."""
        pixels = project(landmark_positions(transforms, joints), self.K)
        residual = (pixels - self.places[:, frames]) / (width * self.scale)
        squared = residual.square().sum(-1)
        return squared / (1 + squared)
