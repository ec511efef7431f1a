from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stages.export import perframe
from stages.export.clip import Clip
from stages.export.perframe import FrameFigures
from stages.images import read_image, write_image
from tests.stages.export.conftest import FRAMES, UNSEEN, Inputs, K


@pytest.fixture(scope="module")
def figures(clip: Clip, inputs: Inputs) -> FrameFigures:
    return perframe.measure(clip, inputs, {"frames": {"dropped": [2]}})


def test_frames_without_the_person_have_no_figures(figures: FrameFigures) -> None:
    for values in (*figures.body_iou, figures.avatar_iou, figures.blur, figures.height):
        assert np.flatnonzero(np.isnan(values)).tolist() == [UNSEEN]
    assert np.flatnonzero(np.isnan(figures.landmark_distance[1]).all(axis=1)).tolist() == [UNSEEN]


def test_interpolated_frames_are_those_not_seen_and_those_left_out(figures: FrameFigures) -> None:
    assert np.flatnonzero(figures.interpolated).tolist() == [2, UNSEEN]


def test_the_start_is_worse_in_every_frame(figures: FrameFigures) -> None:
    seen = np.arange(FRAMES) != UNSEEN
    before, after = figures.body_iou
    assert (before[seen] < after[seen]).all()
    assert np.nanmedian(figures.landmark_distance[1]) == pytest.approx(3, abs=0.01)
    first, second = (perframe.medians(values)[seen] for values in figures.landmark_distance)
    assert second == pytest.approx(3, abs=0.01)
    assert first == pytest.approx(0.15 * K[0, 0] / 3.5 - 3, abs=2)


def test_confidence_is_the_landmarks_visibility(figures: FrameFigures) -> None:
    assert (figures.confidence == 1).all()


def test_without_landmarks_the_boxes_scores_tell_the_confidence(
    clip: Clip, inputs: Inputs, tmp_path: Path
) -> None:
    valid = np.ones(FRAMES, bool)
    valid[UNSEEN] = False
    np.savez(tmp_path / "subject.npz", boxes=np.zeros((FRAMES, 4)), scores=np.full(FRAMES, 0.7), valid=valid)
    found = perframe.measure(clip, {**inputs, "detect": tmp_path}, {})
    assert found.confidence[valid] == pytest.approx(0.7)
    assert np.isnan(found.confidence[UNSEEN])
    assert np.isnan(found.landmark_distance[0]).all()


def test_blur_is_that_of_the_person(
    clip: Clip, inputs: Inputs, figures: FrameFigures, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    for path in sorted((inputs["frames"] / "images").iterdir()):
        write_image(tmp_path / "images" / path.name, cv2.GaussianBlur(read_image(path), (0, 0), 2))
    blurred = replace(clip, frames=replace(clip.frames, folder=tmp_path))
    found = perframe.measure(blurred, inputs, {})
    assert np.nanmin(found.blur) > np.nanmax(figures.blur) + 0.05


def test_summaries_know_only_what_is_known() -> None:
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    assert perframe.mean(values[0]) == perframe.median(values[0]) == 2
    assert perframe.mean(values[1]) is perframe.median(values[1]) is None
    assert perframe.medians(values).tolist()[:1] == [2]
