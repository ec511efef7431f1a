"""When to stop: the loss of held-out frames, in the poses that their neighbours give them, as training goes on."""

import math
from typing import Any

import torch
from torch import Tensor

from models.avatar.losses import over
from models.avatar.observations import Crops
from models.avatar.phases import Plan, Scene
from models.rasterizer import ssim

CHECK_EVERY = 50  # steps
MOST_FRAMES = 8  # held-out ones that a check draws
IMPROVEMENT = 1e-3  # of the loss: less is none
STILL = 5e-4  # metres that the joints move between two checks, in the mean: less is none


@torch.no_grad()
def held_out_loss(scene: Scene, crops: Crops) -> float:
    """Colour loss (L1 and D-SSIM as weighted for training) over white, mean over the crops' frames."""
    w, total = scene.settings.weights, 0.0
    frames = crops.frames[:: math.ceil(len(crops.frames) / MOST_FRAMES)].tolist()
    for t in frames:
        crop = crops[t]
        frame = torch.tensor([t], device=crop.K.device)
        drawn = scene.draw(scene.trajectory(frame).transforms[0], crop)
        white, mask = torch.ones(3).to(crop.K), crop.coverage()
        seen = over(drawn.color, drawn.alpha, white)
        wanted = over(crop.color() * mask[..., None], mask, white)
        total += float(w.l1 * (seen - wanted).abs().mean() + w.dssim * (1 - ssim(seen, wanted)))
    return total / len(frames)


class Lookout:
    """Watches a phase by its held-out frames: when to stop, and which avatar was the best.

    Where only the avatar learns, the best one is kept. While the body moves too, the latest stays, and the
    wait begins anew as long as the joints move: a body that has come to rest at a rate that has not fallen
    to its end yet has arrived, and the avatar's own rates fall to theirs in the next phase.
    """

    def __init__(self, scene: Scene, plan: Plan, crops: Crops, patience: int) -> None:
        """
        Args:
            crops: of the held-out frames.
            patience: checks without an improvement, after which the phase stops.
        """
        self.scene, self.plan, self.crops, self.patience = scene, plan, crops, patience
        self.best = math.inf
        self.waited = 0
        self.kept: dict[str, Tensor] | None = None
        self.joints: Tensor | None = None

    def due(self, step: int) -> bool:
        """Whether there is something to check after so many steps: every 50, once the pictures are fine."""
        return step % CHECK_EVERY == 0 and step > self.plan.coarse_until

    def check(self) -> float:
        """Looks at the held-out frames; their loss."""
        loss = held_out_loss(self.scene, self.crops)
        self.waited += 1
        if loss < (1 - IMPROVEMENT) * self.best:
            self.best, self.waited = loss, 0
            if not self.plan.moves_motion:
                state = self.scene.gaussians.state_dict()
                self.kept = {name: value.clone() for name, value in state.items()}
        if self.plan.moves_motion and self._moved():
            self.waited = 0
        return loss

    @property
    def exhausted(self) -> bool:
        """Whether the phase may stop."""
        return self.waited >= self.patience

    def keep_best(self) -> None:
        """Gives the scene its best avatar back, if one was kept."""
        if self.kept is not None:
            self.scene.gaussians.load_state_dict(self.kept)

    @torch.no_grad()
    def _moved(self) -> bool:
        """Whether the joints have moved since the last check."""
        before, self.joints = self.joints, self.scene.trajectory(slice(None)).joints
        return before is None or float((self.joints - before).norm(dim=-1).mean()) > STILL

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("best", "waited", "kept", "joints")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
