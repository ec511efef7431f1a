"""2D landmarks as evidence: strong while nothing is rendered, fading once pictures say more."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.losses import project
from models.avatar.trajectory import BodyPose
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
        pixels = project(landmark_positions(body.transforms, body.joints), self.K)
        residual = (pixels - self.places[:, frames]) / (width * self.scale)
        squared = residual.square().sum(-1)
        weights = self.weights[:, frames]
        if weights.ndim == 3:
            weights, squared = weights[:, None], squared[:, None]
        total = (weights * squared / (1 + squared)).sum((0, 2, 3))
        return (total / weights.sum((0, 2, 3)).clamp_min(1)).mean()
