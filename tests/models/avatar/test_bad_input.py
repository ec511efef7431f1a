"""Evidence that is wrong as users' clips are: results must be useful, and warnings say what was wrong."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from models.avatar import Evidence, OptimiserSettings, Result, optimise
from models.avatar.task import Task
from models.body import BodyModel
from models.errors import StageError
from tests.models.avatar.scenes import filmed, true_motion

FRAMES = 12
QUICK = OptimiserSettings(
    gaussians=500,
    final_gaussians=500,
    alignment_steps=150,
    silhouette_steps=30,
    joint_steps=80,
    appearance_steps=5,
    person_pixels=48,
    final_person_pixels=48,
)
USEFUL = 95.0  # mm, pelvis-aligned; this schedule makes 75 of the noisy start's 117 where nothing is wrong


@pytest.fixture(scope="module")
def clip(body: BodyModel) -> Evidence:
    return filmed(body, FRAMES)


def _errors(joints: torch.Tensor, body: BodyModel) -> torch.Tensor:
    """Pelvis-aligned joint error against the truth, (T,) millimetres."""
    poses, trans = true_motion(FRAMES)
    truth = body.pose(poses, trans, torch.zeros(10)).joints[: len(joints)]
    return ((joints - joints[:, :1]) - (truth - truth[:, :1])).norm(dim=-1).mean(1) * 1000


def _joints(clip: Evidence, body: BodyModel) -> torch.Tensor:
    return body.pose(torch.from_numpy(clip.poses), torch.from_numpy(clip.trans), torch.zeros(10)).joints


def _finite(result: Result) -> bool:
    avatar = result.avatar
    arrays = (result.poses, result.trans, result.joints, result.betas, avatar.means, avatar.colors)
    numbers = (*arrays, avatar.log_scales, avatar.quaternions, avatar.opacity_logits, avatar.coverage)
    return all(bool(torch.isfinite(array).all()) for array in numbers)


def _wrong_masks(clip: Evidence) -> Evidence:
    masks = [mask.copy() for mask in clip.masks]
    for mask in masks[4:8]:
        mask[:] = 0
        mask[20:90, :14] = 255
    return replace(clip, masks=masks)


def _shifted(x: float, y: float, z: float) -> Callable[[Evidence], Evidence]:
    return lambda clip: replace(clip, trans=clip.trans + np.array([x, y, z], np.float32))


def _spiked(clip: Evidence) -> Evidence:
    poses, trans = clip.poses.copy(), clip.trans.copy()
    poses[5] += 0.6 * np.random.default_rng(1).normal(size=72).astype(np.float32)
    trans[2, 0] += 1
    trans[9, 2] *= 2
    return replace(clip, poses=poses, trans=trans)


def _absurd_shape(clip: Evidence) -> Evidence:
    return replace(clip, betas=np.array([8, -8, 0, 0, 0, 0, 0, 0, 0, 0], np.float32))


def _wrong_camera(factor: float) -> Callable[[Evidence], Evidence]:
    return lambda clip: replace(clip, K=np.diag([factor, factor, 1]) @ clip.K + _centre(clip, 1 - factor))


def _centre(clip: Evidence, share: float) -> np.ndarray:
    shift = np.zeros((3, 3))
    shift[:2, 2] = share * clip.K[:2, 2]
    return shift


@pytest.mark.parametrize(
    ("damage", "warning"),
    [
        (_wrong_masks, "frames 4 to 7"),
        (_shifted(0, 1, 0), None),
        (_shifted(0, 0, -1), None),
        (_spiked, "frames 2 and 9"),
        (_absurd_shape, "shape"),
        (_wrong_camera(2.0), None),
    ],
    ids=["wrong person", "below the floor", "along the ray", "spikes", "shape", "camera"],
)
def test_a_damaged_start_still_ends_well(
    clip: Evidence, body: BodyModel, damage: Any, warning: str | None
) -> None:
    result = optimise(damage(clip), body, QUICK)
    assert _finite(result)
    assert _errors(result.joints, body).mean() < USEFUL
    if warning:
        assert any(warning in text for text in result.history["warnings"])


@pytest.mark.parametrize(
    ("kind", "factor", "warning"),
    [
        ("depth", 1000, "in metres"),
        ("depth", np.nan, "nothing about the person"),
        ("depth", -1, "nothing about the person"),
        ("disparity", np.inf, "nothing about the person"),
        ("disparity", 1, "contradict"),  # constant over the person in every frame
    ],
)
def test_useless_depth_is_left_out(
    clip: Evidence, body: BodyModel, kind: str, factor: float, warning: str
) -> None:
    maps = np.repeat(factor * true_motion(FRAMES)[1][:, 2].numpy(), 64 * 48).reshape(-1, 64, 48)
    settings = QUICK.model_copy(update={"alignment_steps": 20, "silhouette_steps": 5, "joint_steps": 1})
    history = optimise(replace(clip, **{kind: maps}), body, settings).history
    assert any(warning in text for text in history["warnings"])
    assert not history["depth_used"] and history["size_from"] == "population prior"


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_frames_are_an_error(clip: Evidence, body: BodyModel, count: int) -> None:
    names = ("images", "masks", "valid", "poses", "trans", "posed")
    with pytest.raises(StageError, match="usable mask"):
        optimise(replace(clip, **{name: getattr(clip, name)[:count] for name in names}), body, QUICK)


def test_masks_of_nothing_leave_the_motion_as_it_was(clip: Evidence, body: BodyModel) -> None:
    random = np.random.default_rng(0)
    masks = [random.integers(0, 256, mask.shape, np.uint8) for mask in clip.masks]
    result = optimise(replace(clip, masks=masks), body, QUICK)
    torch.testing.assert_close(
        _errors(result.joints, body), _errors(_joints(clip, body), body), atol=15, rtol=0
    )
    assert any("masks or initial motion are wrong" in text for text in result.history["warnings"])


def test_a_person_of_a_few_pixels_is_an_error(clip: Evidence, body: BodyModel) -> None:
    tiny = replace(
        clip,
        images=[cv2.resize(image, (16, 21), interpolation=cv2.INTER_AREA) for image in clip.images],
        masks=[cv2.resize(mask, (16, 21), interpolation=cv2.INTER_AREA) for mask in clip.masks],
        K=clip.K * [[1 / 6], [1 / 6], [1]],
    )
    with pytest.raises(StageError, match=r"only \d+ pixels large"):
        optimise(tiny, body, QUICK)


def test_a_given_height_does_not_make_the_start_look_wrong(clip: Evidence, body: BodyModel) -> None:
    """The start is judged at the distance that goes with the height: the picture looks the same."""
    poses, trans = true_motion(FRAMES)
    exact = replace(clip, poses=poses.numpy(), trans=trans.numpy())
    overlaps = [
        optimise(exact, body, QUICK.model_copy(update={"height": height})).history["agreement"]["start"][
            "overlap"
        ]
        for height in (None, 1.98)
    ]
    assert overlaps[1] > overlaps[0] - 0.05


def test_the_likely_shape_is_the_starts_unless_nobody_has_it(clip: Evidence, body: BodyModel) -> None:
    usual = replace(clip, betas=np.linspace(-1, 1, 10, dtype=np.float32))
    for evidence, likely in ((usual, usual.betas), (_absurd_shape(clip), np.zeros(10, np.float32))):
        task = Task(evidence, body, QUICK, torch.device("cpu"))
        start = torch.from_numpy(evidence.poses), torch.from_numpy(evidence.trans)
        trajectory = task.trajectory(*task.sized(*start))
        np.testing.assert_array_equal(trajectory.likely_betas.numpy(), likely)
        assert float(trajectory.shape_misfit().detach()) == 0
