"""Rendering phases on the small world of `scenes`, with every kind of evidence, for tests of single steps."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from models.avatar import Evidence, OptimiserSettings
from models.avatar.gaussians import Gaussians
from models.avatar.landmarks import Landmarks
from models.avatar.observations import Crops, mask_boxes
from models.avatar.phases import Plan, Scene
from models.avatar.surface import spread
from models.avatar.trajectory import Scale, Trajectory
from models.body import BodyModel
from tests.models.avatar.scenes import HEIGHT, WIDTH, filmed, true_motion

KINDS = {  # what moves: motion, shape, avatar; and whether colour counts
    "silhouettes": (True, True, False, False),
    "joint": (True, True, True, True),
    "appearance": (False, False, True, True),
    "held-out poses": (True, False, False, True),
}


def evidence_with_everything(body: BodyModel) -> Evidence:
    """Depth maps and landmarks too; the first frame's mask is smaller, so that crops differ in size."""
    evidence = filmed(body)
    random = np.random.default_rng(0)
    distance = true_motion(len(evidence))[1][:, 2].numpy()
    maps = (400 / distance)[:, None, None] + random.normal(size=(9, 64, 48)).astype(np.float32)
    places = random.uniform((0, 0, 0), (WIDTH, HEIGHT, 1), (2, 9, 33, 3))
    masks = [mask.copy() for mask in evidence.masks]
    masks[0][80:] = 0
    masks[5][:, 60:] = 0
    return replace(evidence, masks=masks, disparity=maps, landmarks=places)


def scene_of(evidence: Evidence, body: BodyModel, settings: OptimiserSettings, device: str = "cpu") -> Scene:
    start = (torch.from_numpy(a).to(device) for a in (evidence.poses, evidence.trans, evidence.betas))
    assert evidence.landmarks is not None
    return Scene(
        trajectory=Trajectory(*start, body.to(device), [Scale(1.2), Scale(math.inf, 0.2)]),
        gaussians=Gaussians(spread(body, settings.gaussians, settings.seed).to(torch.device(device))),
        fps=evidence.fps,
        settings=settings,
        log_heights_away=0.5,
        aligned_log_distance=1.1,
        slope=0.0025,
        use_depth=True,
        landmarks=Landmarks(evidence.landmarks, evidence.K, 90.0, torch.device(device)),
        ground=torch.tensor([0.0, -1.0, 0.0, 1.1], device=device),
    )


def plan_of(kind: str, crops: Any, frames: list[int], steps: int = 10) -> Plan:
    motion, shape, avatar, color = KINDS[kind]
    return Plan(
        name=kind,
        steps=steps,
        frames=frames,
        coarse=crops,
        fine=crops,
        coarse_until=0,
        moves_motion=motion,
        moves_shape=shape,
        moves_avatar=avatar,
        uses_color=color,
        smoothness=1.0,
        pace=1.0,
        warm_up=0,
        seed=0,
    )


def settings_for(frames_per_step: int) -> OptimiserSettings:
    plain = OptimiserSettings(gaussians=600, height=1.7, frames_per_step=frames_per_step)
    return plain.model_copy(update={"weights": plain.weights.model_copy(update={"landmarks": 0.1})})


def crops_of(evidence: Evidence, device: str = "cpu") -> Crops:
    boxes = mask_boxes(evidence.masks, evidence.valid)
    return Crops(evidence, boxes, np.arange(len(evidence)), 80, torch.device(device))
