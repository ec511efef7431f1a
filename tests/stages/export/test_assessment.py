import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.body import Motion
from stages.export import assessment, perframe
from stages.export.assessment import Facts
from stages.export.clip import Clip
from stages.facts import write_json
from stages.images import read_image, write_image
from tests.stages.export.conftest import FRAMES, HEIGHT, UNSEEN, Inputs


@pytest.fixture(scope="module")
def facts(clip: Clip, inputs: Inputs, history: dict) -> Facts:
    return assessment.gather(clip, inputs, history)


def test_counts(facts: Facts) -> None:
    assert facts.frames == FRAMES
    assert facts.frames_seen == FRAMES - 1
    assert facts.cut_off == 0
    assert facts.unseen_surface == 0
    # 1.8 m at 3.5 m through a lens of 140 pixels.
    assert facts.person_height == pytest.approx(1.8 * 140 / 3.5 / HEIGHT, rel=0.15)


def test_overlaps(facts: Facts) -> None:
    assert facts.avatar_iou == pytest.approx(1, abs=0.01)  # the masks are its own renderings
    before, after = facts.body_iou
    assert before is not None
    assert after is not None
    assert 0 < before < after - 0.1 < 1


def test_the_distance_to_landmarks_is_that_of_matching_joints(facts: Facts) -> None:
    before, after = facts.landmark_error
    assert after == pytest.approx(3, abs=0.01)
    assert before == pytest.approx(0.15 * 140 / 3.5 - 3, abs=1)


def test_acceleration_is_that_of_seen_frames(motion: Motion) -> None:
    assert motion.joints is not None
    steady = np.arange(FRAMES)[:, None, None] * np.float32([0.1, 0, 0]) + motion.joints[:1]
    assert assessment.acceleration(replace(motion, joints=steady)) == pytest.approx(0, abs=1e-3)
    thrown = steady + 0.5 * 0.02 * (np.arange(FRAMES) ** 2)[:, None, None] * np.float32([0, 1, 0])
    assert assessment.acceleration(replace(motion, joints=thrown)) == pytest.approx(20, rel=1e-3)
    spoilt = thrown.copy()
    spoilt[~motion.valid] += 9
    assert assessment.acceleration(replace(motion, joints=spoilt)) == pytest.approx(20, rel=1e-3)


def test_what_cannot_be_known_is_none(clip: Clip, motion: Motion) -> None:
    nobody = replace(motion, valid=np.zeros(FRAMES, bool))
    assert assessment.acceleration(nobody) is None
    assert assessment.acceleration(replace(motion, joints=None)) is None
    assert np.isnan(perframe.landmark_distance(clip, motion, None)).all()


def test_a_clip_without_anybody_still_has_facts(clip: Clip, inputs: Inputs, history: dict) -> None:
    nobody = replace(clip, refined=replace(clip.refined, valid=np.zeros(FRAMES, bool)))
    facts = assessment.gather(nobody, inputs, history)
    assert facts.frames_seen == 0
    assert facts.avatar_iou is None
    assert facts.person_height is None


def test_metrics_hold_what_was_found_and_null_for_the_rest(
    facts: Facts, manifests: dict, tmp_path: Path
) -> None:
    found = assessment.metrics(
        replace(facts, avatar_iou=float("nan"), body_iou=(None, 0.5)), manifests, np.arange(FRAMES)
    )
    write_json(tmp_path / "metrics.json", found)
    read = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert read["silhouette_iou"] == {"avatar": None, "body": {"before": None, "after": 0.5}}
    assert read["held_out"]["fitted poses"]["psnr"] == 20.5
    assert read["stages"]["masks"] == {
        "engine": "engine of masks",
        "seconds": 61.5,
        "peak_memory": 300 * 2**20,
    }
    assert read["landmark_error_px"]["after"] == pytest.approx(3, abs=0.01)
    per_frame = read["per_frame"]
    assert per_frame["frame"] == list(range(FRAMES))
    assert per_frame["interpolated"] == [index == UNSEEN for index in range(FRAMES)]
    assert per_frame["landmark_error_px"]["after"][0] == pytest.approx(3, abs=0.01)
    assert per_frame["silhouette_iou"]["body"]["before"][UNSEEN] is None
    assert read["sides_seen"] == {"front": FRAMES - 1, "right": 0, "back": 0, "left": 0}
    assert read["joint_change"]["left_knee"]["mean_degrees"] == pytest.approx(0, abs=0.1)


def test_somebody_cut_off_at_the_picture_s_edge_is_noticed(
    clip: Clip, inputs: Inputs, tmp_path: Path
) -> None:
    for path in sorted(inputs["masks"].glob("*.png")):
        write_image(tmp_path / path.name, np.roll(read_image(path)[..., 0], 40, axis=0))
    low = replace(clip, masks_folder=tmp_path)
    facts = assessment.gather(low, inputs, {"held_out": {}})
    assert facts.cut_off == FRAMES - 1
