"""When the avatar has learned enough: the loss of validation frames, in the poses their neighbours give them.

These are every second one of the held-out frames; the others take no part: figures of them are honest.

Only the appearance phase stops early. In the joint phase the loss falls and joints move to its last step,
because rates fall: they would have to be cut before they have done their work.
"""

import math
from typing import Any

import torch
from torch import Tensor

from models.avatar.comparison import compare
from models.avatar.observations import Crops, together
from models.avatar.phases import Scene
from models.rasterizer import ssim

CHECK_EVERY = 50  # steps
MOST_FRAMES = 8  # held-out ones that a check draws
IMPROVEMENT = 1e-3  # of the loss: less is none


@torch.no_grad()
def held_out_loss(scene: Scene, crops: Crops) -> float:
    """Colour loss (L1 and D-SSIM as weighted for training) over white, mean over the crops' frames."""
    w, total = scene.settings.weights, 0.0
    frames = crops.frames[:: math.ceil(len(crops.frames) / MOST_FRAMES)].tolist()
    for t in frames:
        crop = together([crops[t]])
        body = scene.trajectory(torch.tensor([t], device=crop.K.device))
        compared = compare(scene.draw(body.transforms, crop), crop, crop.K.new_ones(1, 3))
        dssim = 1 - ssim(compared.seen, compared.wanted, crop.sizes)
        total += float(w.l1 * compared.color + w.dssim * dssim)
    return total / len(frames)


class Lookout:
    """Watches the avatar by its held-out frames: keeps the best one, and says when to stop."""

    def __init__(self, scene: Scene, crops: Crops, patience: int) -> None:
        """
        Args:
            crops: of the held-out frames.
            patience: checks without an improvement, after which nothing more is expected.
        """
        self.scene, self.crops, self.patience = scene, crops, patience
        self.best = math.inf
        self.waited = 0
        self.kept: dict[str, Tensor] = {}

    def check(self) -> float:
        """Looks at the held-out frames; their loss."""
        loss = held_out_loss(self.scene, self.crops)
        self.waited += 1
        if loss < (1 - IMPROVEMENT) * self.best:
            state = self.scene.gaussians.state_dict()
            self.best, self.waited = loss, 0
            self.kept = {name: value.clone() for name, value in state.items()}
        return loss

    @property
    def exhausted(self) -> bool:
        """Whether the phase may stop."""
        return self.waited >= self.patience

    def keep_best(self) -> None:
        """Gives the scene its best avatar back."""
        if self.kept:
            self.scene.gaussians.load_state_dict(self.kept)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited, "kept": self.kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best, self.waited, self.kept = state["best"], state["waited"], state["kept"]
