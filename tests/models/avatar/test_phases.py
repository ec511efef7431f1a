"""Single steps of the rendering phases."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.avatar import Evidence, OptimiserSettings
from models.avatar.gaussians import Gaussians
from models.avatar.landmarks import Landmarks
from models.avatar.observations import Crop, Crops, mask_boxes, together
from models.avatar.phases import Phase, Plan, Scene
from models.avatar.surface import spread
from models.avatar.trajectory import Trajectory
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


def scene_of(evidence: Evidence, body: BodyModel, settings: OptimiserSettings) -> Scene:
    start = (torch.from_numpy(a) for a in (evidence.poses, evidence.trans, evidence.betas))
    assert evidence.landmarks is not None
    return Scene(
        trajectory=Trajectory(*start, body, 1.2),
        gaussians=Gaussians(spread(body, settings.gaussians, settings.seed)),
        fps=evidence.fps,
        settings=settings,
        mean_log_distance=1.1,
        slope=0.0025,
        use_depth=True,
        landmarks=Landmarks(evidence.landmarks, evidence.K, 90.0, torch.device("cpu")),
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
        seed=0,
    )


def settings_for(frames_per_step: int) -> OptimiserSettings:
    plain = OptimiserSettings(gaussians=600, height=1.7, frames_per_step=frames_per_step)
    return plain.model_copy(update={"weights": plain.weights.model_copy(update={"landmarks": 0.1})})


def crops_of(evidence: Evidence) -> Crops:
    boxes = mask_boxes(evidence.masks, evidence.valid)
    return Crops(evidence, boxes, np.arange(len(evidence)), 80, torch.device("cpu"))


def gradients(phase: Phase, crop: Crop) -> dict[str, Tensor]:
    """Of one step's loss by everything that moves."""
    terms = phase._terms(crop)
    assert all(value.isfinite() for value in terms.values())
    sum(terms.values(), torch.zeros(())).backward()
    moving = {**dict(phase.scene.gaussians.named_parameters())}
    moving.update(phase.scene.trajectory.named_parameters())
    found = {name: p.grad.clone() for name, p in moving.items() if p.grad is not None}
    for parameter in moving.values():
        parameter.grad = None
    return {**{f"term {name}": value.detach() for name, value in terms.items()}, **found}


@pytest.mark.parametrize("kind", list(KINDS))
def test_several_frames_a_step_are_the_mean_of_single_ones(body: BodyModel, kind: str) -> None:
    """Every loss, and every gradient; the crops have three different sizes."""
    evidence = evidence_with_everything(body)
    crops, chosen = crops_of(evidence), [0, 5, 8]
    assert len({tuple(crops[t].mask.shape) for t in chosen}) == 3
    backgrounds = torch.rand(len(chosen), 3, generator=torch.Generator().manual_seed(0))
    scene = scene_of(evidence, body, settings_for(3))
    with torch.no_grad():
        scene.gaussians.colors.uniform_(generator=torch.Generator().manual_seed(1))
    batched = Phase(scene, plan_of(kind, crops, chosen))
    assert sorted(batched.draws.frames[0]) == chosen
    batched.backgrounds = backgrounds[None]
    order = batched.draws.frames[0]
    together_found = gradients(batched, together([crops[t] for t in order]))
    singles = []
    single_scene = replace(scene, settings=settings_for(1))
    for t, background in zip(order, backgrounds, strict=True):
        phase = Phase(single_scene, plan_of(kind, crops, [t]))
        phase.backgrounds = background[None, None]
        singles.append(gradients(phase, together([crops[t]])))
    assert together_found.keys() == singles[0].keys()
    assert ("updates" in together_found) == KINDS[kind][0]
    assert ("offsets" in together_found) == KINDS[kind][2]
    for name, found in together_found.items():
        mean = torch.stack([single[name] for single in singles]).mean(0)
        assert (found - mean).norm() <= 1e-4 * mean.norm() + 1e-7, name
