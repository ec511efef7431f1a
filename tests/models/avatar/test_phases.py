"""Single steps of the rendering phases."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.avatar.alignment import body_height, with_height
from models.avatar.observations import Crop, together
from models.avatar.phases import Phase
from models.avatar.trajectory import Scale, Trajectory
from models.body import BodyModel
from models.hmr.ground import feet_positions, level_plane
from tests.models.avatar.steps import (
    KINDS,
    crops_of,
    evidence_with_everything,
    plan_of,
    scene_of,
    settings_for,
)


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


@pytest.mark.parametrize(("slope", "share"), [(0.0025, 0.35), (None, 1.0)])
def test_only_maps_without_a_scale_are_trusted_less(
    body: BodyModel, slope: float | None, share: float
) -> None:
    evidence, settings = evidence_with_everything(body), settings_for(1)
    crops = crops_of(evidence)

    def term(factor: float) -> float:
        weights = settings.weights.model_copy(update={"depth_relative": factor})
        chosen = settings.model_copy(update={"weights": weights})
        scene = replace(scene_of(evidence, body, chosen), slope=slope)
        phase = Phase(scene, plan_of("joint", crops, [2]))
        return float(phase._terms(together([crops[2]]))["depth"].detach())

    assert term(1.0) > 0
    assert term(0.35) == pytest.approx(share * term(1.0), rel=1e-5)


def test_depth_and_ground_say_nothing_about_size(body: BodyModel) -> None:
    """Everything twice as far away and twice as large is compared as before."""
    scene = scene_of(evidence_with_everything(body), body, settings_for(1))
    drawn = scene.centres(scene.trajectory(torch.tensor([2])).transforms)
    before = scene.to_aligned_size() * drawn
    with torch.no_grad():
        scene.trajectory.distance.add_(math.log(2))
    torch.testing.assert_close(scene.to_aligned_size() * 2 * drawn, before)


def test_a_taller_person_farther_away_stands_on_the_same_ground(body: BodyModel) -> None:
    """Who looks alike costs alike, though in metres the feet are far below the plane."""
    evidence, count = evidence_with_everything(body), 9
    crops, scene = crops_of(evidence), scene_of(evidence, body, settings_for(1))
    poses, trans = torch.zeros(count, 72), torch.tensor([0.0, 0.3, 3.0]).repeat(count, 1)
    poses[:, 0] = math.pi  # upright in a camera whose y points down
    usual, taller = (
        torch.zeros(10),
        with_height(body, torch.zeros(10), 1.2 * body_height(body, torch.zeros(10)))[0],
    )
    pelvis = trans + body.shaped_joints(usual)[0]
    near = Trajectory(poses, trans, usual, body, [Scale(0.8)])
    far = Trajectory(poses, 1.2 * pelvis - body.shaped_joints(taller)[0], taller, body, [Scale(0.8)])
    standing = near(slice(None))
    plane = level_plane(feet_positions(standing.transforms, standing.joints)).detach()

    def ground(trajectory: Trajectory, aligned: Trajectory) -> float:
        distance = float(aligned.mean_log_distance().detach())
        placed = replace(scene, trajectory=trajectory, ground=plane, aligned_log_distance=distance)
        terms = Phase(placed, plan_of("joint", crops, [2]))._terms(together([crops[2]]))
        return float(terms["ground"].detach())

    # Legs are not in all bodies the same share of the height.
    alike, unlike = ground(far, aligned=near), ground(far, aligned=far)
    assert alike - ground(near, aligned=near) < 0.2 * (unlike - alike)
