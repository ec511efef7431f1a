from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models.avatar import Avatar, Evidence, OptimiserSettings, Result, delivery, optimise
from models.body import BodyModel
from models.errors import InputError, StageError
from tests.models.avatar.scenes import filmed, true_motion

QUICK = OptimiserSettings(
    gaussians=700,
    final_gaussians=1000,
    alignment_steps=60,
    silhouette_steps=40,
    joint_steps=240,
    appearance_steps=60,
    person_pixels=64,
    final_person_pixels=80,
)


class Interrupted(Exception):
    """The process dies here."""


class Memory:
    """A checkpoint that goes through torch's own serialisation, and can pull the plug."""

    def __init__(self, path: Any, die_after: int | None = None) -> None:
        self.path, self.saves, self.die_after = path, 0, die_after

    def load(self) -> dict[str, Any] | None:
        return torch.load(self.path, weights_only=True) if self.path.exists() else None

    def save(self, state: dict[str, Any]) -> None:
        torch.save(state, self.path)
        self.saves += 1
        if self.saves == self.die_after:
            raise Interrupted


def _error(joints: np.ndarray | torch.Tensor, body: BodyModel) -> float:
    """Pelvis-aligned joint error against the truth, millimetres."""
    poses, trans = true_motion(len(joints))
    truth = body.pose(poses, trans, torch.zeros(10)).joints
    joints = torch.as_tensor(joints)
    return float(((joints - joints[:, :1]) - (truth - truth[:, :1])).norm(dim=-1).mean() * 1000)


@pytest.fixture(scope="module")
def result(evidence: Evidence, body: BodyModel) -> Result:
    return optimise(evidence, body, QUICK)


def test_poses_get_better_and_the_avatar_looks_right(
    result: Result, evidence: Evidence, body: BodyModel
) -> None:
    start = body.pose(
        *(torch.from_numpy(a) for a in (evidence.poses, evidence.trans)), torch.zeros(10)
    ).joints
    assert _error(result.joints, body) < 0.7 * _error(start, body)
    finite = (result.poses, result.trans, result.joints, result.betas, result.avatar.means)
    assert all(torch.isfinite(a).all() for a in finite)
    assert len(result.avatar) == 1000
    assert result.history["size_from"] == "population prior"
    assert not any("stands still" in warning for warning in result.history["warnings"])
    assert any("only from the front" in warning for warning in result.history["warnings"])
    joint = [r["l1"] for r in result.history["losses"] if r["phase"] == "joint"]
    assert joint[-1] < 0.5 * joint[0]


def test_joints_belong_to_the_motion(result: Result, body: BodyModel) -> None:
    again = body.pose(result.poses, result.trans, result.betas).joints
    torch.testing.assert_close(again, result.joints, atol=1e-4, rtol=0)


def test_coverage_marks_what_was_seen(result: Result) -> None:
    """Filmed from the front: the chest was seen, most of the back was not."""
    avatar = result.avatar
    torso, depth = avatar.weights[:, [3, 6, 9]].sum(1) > 0.8, avatar.means[:, 2]
    middle = depth[torso].median()
    front, back = torso & (depth > middle + 0.05), torso & (depth < middle - 0.05)
    assert front.any() and back.any()
    assert avatar.coverage[front].mean() > 0.7
    assert avatar.coverage[back].mean() < 0.2


@pytest.mark.parametrize("die_after", [1, 3, 5])
def test_a_killed_run_goes_on_to_the_same_result(
    evidence: Evidence, body: BodyModel, result: Result, tmp_path: Any, die_after: int
) -> None:
    """Saves: after the alignment, after the silhouettes, within the joint phase, after it, ..."""
    with pytest.raises(Interrupted):
        optimise(evidence, body, QUICK, checkpoint=Memory(tmp_path / "state.pt", die_after))
    resumed = optimise(evidence, body, QUICK, checkpoint=Memory(tmp_path / "state.pt"))
    assert torch.equal(resumed.poses, result.poses) and torch.equal(resumed.trans, result.trans)
    assert torch.equal(resumed.avatar.colors, result.avatar.colors)
    assert torch.equal(resumed.avatar.means, result.avatar.means)
    assert resumed.history == result.history


def test_a_checkpoint_of_another_task_is_not_picked_up(
    evidence: Evidence, body: BodyModel, tmp_path: Any
) -> None:
    with pytest.raises(Interrupted):
        optimise(evidence, body, SHORT, checkpoint=Memory(tmp_path / "state.pt", die_after=2))
    other = SHORT.model_copy(update={"seed": 1})
    fresh = optimise(evidence, body, other)
    mixed = optimise(evidence, body, other, checkpoint=Memory(tmp_path / "state.pt"))
    assert torch.equal(fresh.poses, mixed.poses)


SHORT = QUICK.model_copy(
    update={"alignment_steps": 30, "silhouette_steps": 10, "joint_steps": 30, "appearance_steps": 10}
)


def test_held_out_frames_are_judged_and_not_learned_from(body: BodyModel) -> None:
    """A held-out frame painted green must leave no green on the avatar."""
    evidence = filmed(body, frames=12)
    settings = SHORT.model_copy(update={"joint_steps": 80, "held_out": 0.1})
    held_out = optimise(evidence, body, settings).history["frames"]["held_out"]
    assert len(held_out) == 1
    images = [i.copy() for i in evidence.images]
    images[held_out[0]][:] = (0, 255, 0)
    plain, painted = (optimise(e, body, settings) for e in (evidence, replace(evidence, images=images)))
    assert torch.equal(plain.avatar.colors, painted.avatar.colors)
    figures = plain.history["held_out"]
    assert figures["interpolated poses"]["iou"] > 0.5
    assert figures["interpolated poses"]["psnr"] > painted.history["held_out"]["interpolated poses"]["psnr"]
    assert plain.interpolated is not None and painted.interpolated is not None
    assert torch.equal(plain.interpolated[0], painted.interpolated[0])
    moved = (plain.poses - plain.interpolated[0]).abs().amax(1) > 1e-5
    assert moved.nonzero().flatten().tolist() == held_out


def test_all_figures_are_of_the_delivered_avatar(body: BodyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the colours that it is given in the end where no frame showed any."""
    judged, figures = [], delivery.figures

    def recorded(avatar: Avatar, *others: Any) -> dict[str, float]:
        judged.append(avatar)
        return figures(avatar, *others)

    monkeypatch.setattr(delivery, "figures", recorded)
    settings = SHORT.model_copy(update={"held_out": 0.1})
    delivered = optimise(filmed(body, frames=12), body, settings).avatar
    assert len(judged) == 3
    assert all(torch.equal(avatar.colors, delivered.colors) for avatar in judged)


def test_frames_without_the_person_take_no_part(body: BodyModel) -> None:
    evidence = filmed(body)
    valid, posed, poses = evidence.valid.copy(), evidence.posed.copy(), evidence.poses.copy()
    valid[4], posed[4], poses[4] = False, False, np.nan
    masks = [m.copy() for m in evidence.masks]
    masks[4][:] = 255
    result = optimise(replace(evidence, valid=valid, posed=posed, poses=poses, masks=masks), body, SHORT)
    assert torch.isfinite(result.joints).all()
    assert 4 not in result.history["frames"]["usable"]
    apart = (result.joints[5] - result.joints[3]).norm(dim=-1)
    assert ((result.joints[4] - result.joints[3]).norm(dim=-1) < apart + 0.05).all()


@pytest.mark.parametrize("value", [0, 255])
def test_masks_that_say_nothing_are_an_error(body: BodyModel, value: int) -> None:
    evidence = filmed(body)
    masks = [np.full_like(m, value) for m in evidence.masks]
    with pytest.raises(StageError, match="usable mask"):
        optimise(replace(evidence, masks=masks), body, SHORT)


def test_a_few_masks_of_somebody_else_are_left_out(body: BodyModel) -> None:
    evidence = filmed(body)
    masks = [m.copy() for m in evidence.masks]
    masks[3][:] = 0
    masks[3][:40, :12] = 255
    result = optimise(replace(evidence, masks=masks), body, SHORT)
    assert result.history["frames"]["dropped"] == [3]
    assert any("frame 3" in warning for warning in result.history["warnings"])


def test_poses_with_left_and_right_exchanged_are_put_right(body: BodyModel) -> None:
    evidence = filmed(body, frames=16, noise=0.01)
    poses = evidence.poses.reshape(-1, 24, 3).copy()
    other = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22]
    poses[6:11, 1:] = poses[6:11][:, other[1:]] * [1, -1, -1]
    exchanged = replace(evidence, poses=poses.reshape(-1, 72))
    truth = body.articulate(*true_motion(16), torch.zeros(10))[1]

    def error(result: Result) -> float:
        apart = (result.joints - result.joints[:, :1]) - (truth - truth[:, :1])
        return float(apart.norm(dim=-1).mean())

    plain, mended = optimise(evidence, body, SHORT), optimise(exchanged, body, SHORT)
    assert not plain.history["frames"]["put_right"]
    assert sorted(mended.history["frames"]["put_right"]) == list(range(6, 11))
    assert any("frames 6" in warning for warning in mended.history["warnings"])
    assert error(mended) < error(plain) + 0.005


def test_five_valid_frames_are_enough(body: BodyModel) -> None:
    evidence = filmed(body)
    valid = np.zeros(9, bool)
    valid[:5] = True
    result = optimise(replace(evidence, valid=valid), body, SHORT)
    assert torch.isfinite(result.avatar.means).all()


def test_a_still_person_works(body: BodyModel) -> None:
    evidence = filmed(body)
    still = {
        "images": [evidence.images[0]] * 6,
        "masks": [evidence.masks[0]] * 6,
        "poses": np.repeat(evidence.poses[:1], 6, 0),
        "trans": np.repeat(evidence.trans[:1], 6, 0),
        "valid": np.ones(6, bool),
        "posed": np.ones(6, bool),
    }
    result = optimise(replace(evidence, **still), body, SHORT)
    assert torch.isfinite(result.joints).all()
    assert (result.joints[1:] - result.joints[:-1]).norm(dim=-1).max() < 0.05
    assert any("stands still" in warning for warning in result.history["warnings"])


def test_depth_with_holes_gives_numbers(body: BodyModel) -> None:
    evidence = filmed(body)
    disparity = np.random.default_rng(0).uniform(100, 200, (9, 64, 48)).astype(np.float32)
    disparity[2] = np.nan
    disparity[3] = 0
    result = optimise(replace(evidence, disparity=disparity), body, SHORT)
    assert torch.isfinite(result.joints).all()


def test_a_killed_run_with_relative_depth_goes_on_to_the_same_result(body: BodyModel, tmp_path: Any) -> None:
    """Killed within the joint phase, when the maps' slope is known."""
    evidence = filmed(body)
    distance = true_motion(9)[1][:, 2].numpy()[:, None, None]
    leaning = distance + np.linspace(-0.1, 0.1, 64)[None, :, None].repeat(48, axis=2)
    evidence = replace(evidence, disparity=(400 / leaning).astype(np.float32))
    settings = SHORT.model_copy(update={"joint_steps": 210})
    whole = optimise(evidence, body, settings)
    assert whole.history["depth_used"]
    with pytest.raises(Interrupted):
        optimise(evidence, body, settings, checkpoint=Memory(tmp_path / "state.pt", die_after=3))
    resumed = optimise(evidence, body, settings, checkpoint=Memory(tmp_path / "state.pt"))
    assert torch.equal(resumed.poses, whole.poses) and resumed.history == whole.history


@pytest.mark.parametrize("form", ["depth", "depth_points"])
def test_metric_depth_places_the_person(body: BodyModel, form: str) -> None:
    """Everybody 10 % too far away to begin with; metric depth knows better, in either form alone."""
    evidence = filmed(body, noise=0.02)
    _, trans = true_motion(9)
    far = replace(
        evidence,
        trans=(1.1 * trans).numpy(),
        depth=np.repeat(trans[:, 2].numpy() - 0.1, 64 * 48).reshape(9, 64, 48),
    )
    weights = SHORT.weights.model_copy(update={"depth": 0.0, "depth_points": 0.0, form: 20.0})
    settings = SHORT.model_copy(update={"joint_steps": 150, "weights": weights})
    result = optimise(far, body, settings)
    assert result.history["depth_used"] and result.history["size_from"] == "metric depth"
    placed = result.trans[:, 2]
    assert (placed - trans[:, 2]).abs().mean() < 0.5 * 0.1 * trans[:, 2].mean()


def test_height_decides_the_size(body: BodyModel) -> None:
    evidence = filmed(body)
    tall, short = (
        optimise(evidence, body, SHORT.model_copy(update={"height": h, "alignment_steps": 150})).avatar
        for h in (1.95, 1.6)
    )

    def height(avatar: Any) -> float:
        upright = body.shape(avatar.betas)[0][:, 1]
        return float(upright.max() - upright.min())

    assert height(tall) == pytest.approx(1.95, abs=0.05)
    assert height(short) == pytest.approx(1.6, abs=0.05)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"poses": np.full((9, 72), np.nan, np.float32)}, "finite"),
        ({"trans": np.full((9, 3), -1, np.float32)}, "behind the camera"),
        ({"betas": np.zeros(16, np.float32)}, "betas"),
        ({"posed": np.zeros(9, bool)}, "initial pose"),
        ({"fps": 0.0}, "frame rate"),
        ({"masks": []}, "masks"),
        ({"K": np.full((3, 3), np.inf)}, "finite"),
    ],
)
def test_refuses_evidence_that_makes_no_sense(
    evidence: Evidence, body: BodyModel, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        optimise(replace(evidence, **change), body, SHORT)
