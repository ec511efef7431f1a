"""A joint phase of the optimisation, ready to step, for whoever measures steps."""

import numpy as np
import torch

from models.avatar import Evidence, OptimiserSettings
from models.avatar.gaussians import Gaussians
from models.avatar.observations import Crops
from models.avatar.phases import Phase, Plan, Scene
from models.avatar.surface import spread
from models.avatar.trajectory import Trajectory, scales_of
from models.body import BodyModel


def joint_phase(
    evidence: Evidence, body: BodyModel, crops: Crops, count: int, settings: OptimiserSettings, steps: int
) -> Phase:
    """Colour, silhouette, coupling, smoothness and ground, no depth or landmarks, on the crops' device.

    Args:
        crops: pictures of all frames.
        count: of Gaussians.
        steps: that the phase has, at most.
    """
    device = crops.device
    start = (torch.from_numpy(a).to(device) for a in (evidence.poses, evidence.trans, evidence.betas))
    trajectory = Trajectory(*start, body.to(device), scales_of(settings, evidence.fps))
    gaussians = Gaussians(spread(body, count, seed=0).to(device))
    ground = torch.tensor([0.0, -1.0, 0.0, 1.0], device=device)
    scene = Scene(trajectory, gaussians, evidence.fps, settings, None, 0.0, None, False, None, ground)
    plan = Plan(
        name="joint",
        steps=steps,
        frames=np.arange(len(evidence)).tolist(),
        coarse=crops,
        fine=crops,
        coarse_until=0,
        moves_motion=True,
        moves_shape=True,
        moves_avatar=True,
        uses_color=True,
        smoothness=settings.weights.rendered_smoothness,
        pace=1.0,
        warm_up=0,
        seed=0,
    )
    return Phase(scene, plan)
