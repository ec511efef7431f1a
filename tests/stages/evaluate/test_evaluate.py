import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.body import BodyModel, Motion
from models.errors import InputError
from models.metrics import perceptual
from stages.evaluate import evaluate
from stages.evaluate.motions import Comparison
from stages.evaluate.truth import Truth
from stages.frames import Frames
from tests.stages.evaluate.conftest import HELD_OUT, MakeTruth
from tests.stages.export.conftest import FRAMES, HEIGHT, UNSEEN, WIDTH, Inputs


def test_the_motion_that_is_the_truth_has_no_error(folders: Inputs, make_truth: MakeTruth) -> None:
    facts = evaluate(folders, make_truth())
    after, before = facts["motion"]["after"], facts["motion"]["before"]
    assert after["mean"] == {name: pytest.approx(0, abs=2e-3) for name in facts["units"]}
    assert after["scale"] == pytest.approx(1)
    # The initial motion stands 15 cm aside, with a centimetre of jitter in all directions.
    assert before["mean"]["mpjpe"] == pytest.approx(0, abs=2e-3)
    assert before["mean"]["pve"] == pytest.approx(0, abs=2e-3)
    assert before["mean"]["root_error"] == pytest.approx(150, abs=12)
    assert before["mean"]["camera_mpjpe"] == pytest.approx(before["mean"]["root_error"], abs=1e-2)
    assert 10 < before["mean"]["acceleration_error"] < 80
    assert facts["frames"] == {
        "kept": FRAMES,
        "compared": FRAMES,
        "matched": "by frame number",
        "index": list(range(FRAMES)),
        "truth_row": list(range(FRAMES)),
        "not_seen": [UNSEEN],
    }
    assert set(before["mean_where_seen"]) == set(before["mean"])
    json.dumps(facts, allow_nan=False)


def test_figures_by_frame_and_joint_average_to_the_whole(folders: Inputs, make_truth: MakeTruth) -> None:
    before = evaluate(folders, make_truth())["motion"]["before"]
    for name, mean in before["mean"].items():
        known = [value for value in before["per_frame"][name] if value is not None]
        assert np.mean(known) == pytest.approx(mean)
        if name in before["per_joint"]:
            assert np.mean(list(before["per_joint"][name].values())) == pytest.approx(mean)
    assert [t for t, v in enumerate(before["per_frame"]["acceleration_error"]) if v is None] == [0, 7]
    assert set(before["per_joint"]["mpjpe"]) > {"pelvis", "left_wrist"}


def test_pictures_that_the_avatar_drew_itself(
    folders: Inputs, pictured: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(perceptual, "backbone_path", lambda: tmp_path / "none.pth")
    facts = evaluate(folders, pictured)
    held_out, novel, pose = (facts["pictures"][name] for name in ("held_out", "novel_view", "novel_pose"))
    assert (held_out["frames"], held_out["masks"], held_out["size"]) == (
        HELD_OUT,
        "workspace",
        [WIDTH, HEIGHT],
    )
    psnr = [held_out[f"{way} poses"]["psnr_crop"] for way in ("initial", "interpolated", "fitted")]
    assert psnr[0] + 2 < psnr[1] < psnr[2] - 2
    assert psnr[2] > 30
    assert held_out["fitted poses"]["psnr"] > psnr[2] + 2
    assert (novel["pictures"], pose["pictures"]) == (2, 1)
    for figures in (novel, pose, held_out["fitted poses"]):
        assert figures["psnr_crop"] > 30
        assert figures["iou"] > 0.98
        assert figures["lpips"] is None
    assert facts["lpips"].startswith("not computed: AlexNet's weights are not at")


def test_folders_that_are_not_there_are_named(folders: Inputs, make_truth: MakeTruth, tmp_path: Path) -> None:
    pictures = evaluate(folders, make_truth())["pictures"]
    assert pictures["novel_view"]["note"].startswith("not computed: there is no ")
    with pytest.raises(InputError, match=r"cameras\.npz cannot be read"):
        evaluate(folders, make_truth(), novel=tmp_path / "elsewhere")


def test_the_truths_masks_go_before_the_workspaces(folders: Inputs, make_truth: MakeTruth) -> None:
    """They are of twice the working picture's size, and empty in one of the held-out frames."""
    path = make_truth()
    masks = np.zeros((FRAMES, 2 * HEIGHT, 2 * WIDTH), np.uint8)
    masks[HELD_OUT[1], 60:200, 60:130] = 255
    np.savez(path.with_name("masks.npz"), masks=masks)
    held_out = evaluate(folders, path)["pictures"]["held_out"]
    assert (held_out["masks"], held_out["frames"]) == ("truth", HELD_OUT[1:])


def test_a_known_turn_and_shape(
    folders: Inputs, make_truth: MakeTruth, motion: Motion, body: BodyModel
) -> None:
    """One knee bent further moves ankle and foot alone; another shape moves vertices of its own body."""
    poses = motion.poses.copy()
    poses[:, 3 * 4] += 0.5  # left knee
    comparison = Comparison(Truth.load(make_truth()), np.arange(FRAMES), body)
    errors = comparison.errors(replace(motion, poses=poses)).per_joint()["mpjpe"]
    moved = {name for name, value in errors.items() if value > 1}
    assert moved == {"left_ankle", "left_foot"}
    joints, children = body.joint_template.numpy(), [7, 10]
    lever = np.linalg.norm((joints[children] - joints[4])[:, 1:], axis=1)  # about the knee's x axis
    expected = 1000 * 2 * np.sin(0.25) * lever
    assert [errors["left_ankle"], errors["left_foot"]] == pytest.approx(expected.tolist(), rel=1e-3)

    taller = comparison.errors(replace(motion, betas=np.eye(10, dtype=np.float32)[0]))
    rest = body.shapedirs[..., 0] - body.joint_dirs[0, :, 0]
    standing = np.flatnonzero(np.abs(motion.poses[:, 3:]).max(1) == 0)  # rigid: only the root turns
    expected_pve = 1000 * float(np.linalg.norm(rest.numpy(), axis=1).mean())
    assert taller.vertices[standing] == pytest.approx(expected_pve, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "said", "known"),
    [
        ({"poses_cam": None}, "the 2 frames whose true vertices are given", 2),
        (
            {"poses_cam": None, "vertices_cam": None, "vertices_frames": None},
            "not computed: the truth has",
            0,
        ),
        ({"poses_cam": None, "vertices_cam": np.zeros((2, 50, 3))}, "50 vertices, ours 13718", 0),
        ({"betas": np.ones(10)}, "the 2 frames whose true vertices are given", 2),
        ({}, f"{FRAMES} frames, the truth's body in its poses", FRAMES),
    ],
)
def test_what_vertices_are_compared_with(
    make_truth: MakeTruth, motion: Motion, body: BodyModel, changes: dict[str, Any], said: str, known: int
) -> None:
    comparison = Comparison(Truth.load(make_truth(**changes)), np.arange(FRAMES), body)
    errors = comparison.errors(motion)
    assert said in comparison.vertices_note
    assert np.isfinite(errors.vertices).sum() == known
    assert np.nanmax([0, *errors.vertices]) < 2e-3


def frames_of(folder: Path, **changes: Any) -> Frames:
    return replace(Frames.load(folder), **changes)


def test_frames_of_a_thinned_video_find_their_rows(folders: Inputs, make_truth: MakeTruth) -> None:
    kept = np.array([0, 3, 6])
    frames = frames_of(folders["frames"], source_index=kept, times=kept / 10)
    assert Truth.load(make_truth()).rows(frames)[0].tolist() == [0, 3, 6]


def test_a_truth_at_another_rate_is_matched_by_time(
    folders: Inputs, true_arrays: Mapping, make_truth: MakeTruth
) -> None:
    """The video has 30 pictures a second, the truth 10; every second picture was kept."""
    index = np.arange(0, 24, 2)
    frames = frames_of(folders["frames"], source_index=index, times=index / 30, source_frames=24)
    rows, how = Truth.load(make_truth()).rows(frames)
    assert rows.tolist() == [0, -1, -1, 2, -1, -1, 4, -1, -1, 6, -1, -1]
    assert how == "by time"


def test_the_truth_may_name_its_pictures(folders: Inputs, make_truth: MakeTruth) -> None:
    numbers = 2 * np.arange(FRAMES)
    rows, how = Truth.load(make_truth(frame=numbers, fps=None)).rows(Frames.load(folders["frames"]))
    assert rows.tolist() == [0, -1, 1, -1, 2, -1, 3, -1]
    assert how == "by the truth's frame numbers"


def test_accelerations_only_where_rows_are_evenly_spaced(
    make_truth: MakeTruth, motion: Motion, body: BodyModel
) -> None:
    rows = np.arange(FRAMES)
    rows[3] = -1
    errors = Comparison(Truth.load(make_truth()), rows, body).errors(motion)
    known = np.isfinite(errors.joints["acceleration_error"][:, 0])
    assert known.tolist() == [False, True, False, False, True, True, False]  # frames 0 1 2 4 5 6 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints_cam": None}, "lacks `joints_cam`"),
        ({"fps": None}, "lacks both `fps` and `frame`"),
        ({"fps": 0.0}, "`fps` is 0"),
        ({"joints_cam": np.zeros((FRAMES, 17, 3))}, r"shape \(8, 17, 3\), expected \(8, 24, 3\)"),
        ({"poses_cam": np.zeros((5, 72))}, r"expected"),
        ({"joints_cam": np.full((FRAMES, 24, 3), np.nan)}, "not finite"),
        ({"betas": np.array(["a"] * 10)}, "not finite numbers"),
        ({"vertices_frames": np.array([0, 99])}, "whole numbers from 0 to 7"),
        ({"vertices_frames": None}, "`vertices_frames` is not there"),
        ({"frame": np.arange(FRAMES) + 0.5}, "whole numbers from 0 up"),
        ({"frame": np.arange(FRAMES) + 500}, "no row of the truth belongs"),
    ],
)
def test_a_truth_that_is_none_is_refused(
    folders: Inputs, make_truth: MakeTruth, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(folders, make_truth(**changes))


def test_a_truth_of_another_length_is_refused(folders: Inputs, make_truth: MakeTruth) -> None:
    frames = frames_of(folders["frames"], source_frames=80)
    with pytest.raises(InputError, match=r"8 rows at 10 a second, the video 80 pictures in 8\.00 s"):
        Truth.load(make_truth()).rows(frames)


def test_files_that_are_no_truth_are_refused(folders: Inputs, make_truth: MakeTruth, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        evaluate(folders, tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(InputError, match="not a plain npz"):
        evaluate(folders, tmp_path / "text.npz")
    path = make_truth()
    np.savez(path.with_name("masks.npz"), masks=np.zeros((FRAMES, 4, 4), np.float32))
    with pytest.raises(InputError, match="not of the type uint8"):
        evaluate(folders, path)


@pytest.mark.parametrize("name", ["cam0_frame003.png", "cam0_frame003_mask.png"])
def test_a_missing_novel_picture_is_named(folders: Inputs, pictured: Path, name: str) -> None:
    (pictured.with_name("novel") / name).unlink()
    with pytest.raises(InputError, match=r"cam0_frame003\.png or its mask cannot be used: No such file"):
        evaluate(folders, pictured)


def test_a_motion_of_another_body_is_refused(
    folders: Inputs, make_truth: MakeTruth, motion: Motion, tmp_path: Path
) -> None:
    replace(motion, body="smpl").save(tmp_path / "motion.npz")
    with pytest.raises(InputError, match="of the smpl body"):
        evaluate({**folders, "poses": tmp_path}, make_truth())
