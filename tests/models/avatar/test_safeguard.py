import numpy as np
import pytest
import torch

from models.avatar import Avatar, Evidence
from models.avatar.landmarks import Landmarks
from models.avatar.losses import project
from models.avatar.observations import Crops, mask_boxes
from models.avatar.safeguard import Agreement, Placed, Verdict, judged
from models.body import BodyModel
from models.hmr.landmarks import NUMBERS, landmark_positions
from tests.models.avatar.scenes import K, true_motion

FRAMES = 9


def _noisy(spread: float, seed: int = 0) -> Placed:
    poses, trans = true_motion(FRAMES)
    random = torch.Generator().manual_seed(seed)
    return Placed(poses + spread * torch.randn(poses.shape, generator=random), trans)


def _crops(evidence: Evidence, frames: list[int]) -> Crops:
    boxes = mask_boxes(evidence.masks, evidence.valid)
    return Crops(evidence, boxes, np.array(frames), 64, torch.device("cpu"))


def _true_landmarks(body: BodyModel) -> Landmarks:
    poses, trans = true_motion(FRAMES)
    places = landmark_positions(*body.articulate(poses, trans, torch.zeros(10)))
    observed = np.zeros((1, FRAMES, 33, 3), np.float32)
    observed[0, :, NUMBERS, :2] = project(places, torch.from_numpy(K).float()).numpy().transpose(1, 0, 2)
    observed[0, :, NUMBERS, 2] = 1
    return Landmarks(observed, K, 90.0, torch.device("cpu"))


@pytest.fixture
def judge(evidence: Evidence, avatar: Avatar, body: BodyModel):  # type: ignore[no-untyped-def]
    def verdict(start: Placed, refined: Placed, seen: range, landmarks: Landmarks | None = None) -> Verdict:
        return judged(avatar, body, start, refined, _crops(evidence, list(seen)), landmarks)

    return verdict


def test_a_better_motion_is_kept_as_it_is(judge, body: BodyModel) -> None:  # type: ignore[no-untyped-def]
    refined = _noisy(0.03)
    verdict = judge(_noisy(0.15), refined, range(FRAMES), _true_landmarks(body))
    assert verdict.motion is refined and not verdict.replaced and not verdict.whole
    assert verdict.figures["refined"]["overlap"] > verdict.figures["start"]["overlap"]


def test_a_frame_that_went_astray_lies_between_its_neighbours_again(judge) -> None:  # type: ignore[no-untyped-def]
    refined = _noisy(0.0)
    refined.trans[4, 0] += 0.4
    verdict = judge(_noisy(0.15), refined, range(FRAMES))
    assert verdict.replaced == [4] and not verdict.whole
    trans = true_motion(FRAMES)[1]
    assert (verdict.motion.trans[4] - trans[4]).norm() < 0.02
    torch.testing.assert_close(verdict.motion.poses[[3, 5]], refined.poses[[3, 5]])


def test_a_motion_that_is_worse_everywhere_is_given_up(judge) -> None:  # type: ignore[no-untyped-def]
    start = _noisy(0.02)
    verdict = judge(start, _noisy(0.5), range(FRAMES))
    assert verdict.whole and verdict.motion is start


def test_landmarks_judge_frames_without_a_mask(judge, body: BodyModel) -> None:  # type: ignore[no-untyped-def]
    refined = _noisy(0.0)
    refined.trans[8, 0] += 0.4
    verdict = judge(_noisy(0.02), refined, range(8), _true_landmarks(body))
    assert verdict.replaced == [8]


def test_landmarks_that_contradict_the_pictures_do_not_count() -> None:
    """Left and right swapped by the detector: the pictures fit the refined motion."""
    start = Agreement(overlap=np.array([0.8]), color=np.array([0.2]), landmarks=np.array([0.1]))
    refined = Agreement(overlap=np.array([0.8]), color=np.array([0.1]), landmarks=np.array([0.6]))
    assert not refined.worse_than(start).any()
    assert start.worse_than(Agreement(start.overlap + 0.1, start.color - 0.1, start.landmarks)).all()


def test_without_evidence_there_are_no_figures() -> None:
    unknown = np.full(3, np.nan)
    agreement = Agreement(unknown, unknown, unknown)
    assert agreement.medians() == {"overlap": None, "color": None, "landmarks": None}
    assert not agreement.worse_than(agreement).any()
