import numpy as np
import pytest
import torch

from models.avatar import Evidence, OptimiserSettings
from models.avatar.alignment import CLOTHES, Boxes, align, height_error, log_heights_away, with_height
from models.avatar.landmarks import Landmarks
from models.avatar.losses import project
from models.avatar.observations import mask_boxes
from models.avatar.screening import overlaps
from models.avatar.settings import Weights
from models.avatar.surface import spread
from models.avatar.trajectory import Scale, Trajectory
from models.body import BodyModel
from models.hmr.landmarks import NUMBERS, landmark_positions
from tests.models.avatar.scenes import HEIGHT, WIDTH, K, true_motion

SETTINGS = OptimiserSettings(alignment_steps=150, weights=Weights(landmarks=0.1))


def _boxes(evidence: Evidence, body: BodyModel) -> Boxes:
    found = mask_boxes(evidence.masks, evidence.valid)
    return Boxes(spread(body, 500, seed=0), found, (WIDTH, HEIGHT), K)


def _start(body: BodyModel, shift: float = 0.0, noise: float = 0.0) -> Trajectory:
    poses, trans = true_motion(9)
    random = torch.Generator().manual_seed(0)
    poses = poses + noise * torch.randn(poses.shape, generator=random)
    return Trajectory(poses, trans + shift * torch.tensor([1.0, 0, 0]), torch.zeros(10), body, [Scale(0.8)])


def _true_landmarks(body: BodyModel) -> np.ndarray:
    """(1,9,33,3), those that the fit does not use left at zero visibility."""
    poses, trans = true_motion(9)
    places = landmark_positions(*body.articulate(poses, trans, torch.zeros(10)))
    observed = np.zeros((1, 9, 33, 3), np.float32)
    observed[0, :, NUMBERS, :2] = project(places, torch.from_numpy(K).float()).numpy().transpose(1, 0, 2)
    observed[0, :, NUMBERS, 2] = 1
    return observed


def test_a_start_a_metre_off_is_drawn_in(evidence: Evidence, body: BodyModel) -> None:
    trajectory, boxes = _start(body, shift=0.7), _boxes(evidence, body)
    *_, last = align(trajectory, boxes, None, 10.0, SETTINGS, torch.zeros(4))
    offset = trajectory.motion()[1][:, 0] - true_motion(9)[1][:, 0]
    assert offset.abs().max() < 0.1
    assert last < 0.02


def test_the_body_s_box_is_that_of_a_clothed_one(evidence: Evidence, body: BodyModel) -> None:
    trajectory, points = _start(body), spread(body, 500, seed=0)
    clothed = _boxes(evidence, body).extent(trajectory(slice(None)), torch.zeros(10))
    transforms = trajectory(slice(None)).transforms[:, :, :3]
    blended = (points.weights @ transforms.flatten(2)).unflatten(-1, (3, 4))
    places = (blended[..., :3] @ points.template[..., None])[..., 0] + blended[..., 3]
    bare = project(places, torch.from_numpy(K).float())
    wider = (clothed[:, 2:] - clothed[:, :2]) - (bare.amax(1) - bare.amin(1))
    metres = wider * places[..., 2].mean(1, keepdim=True) / K[0, 0]
    assert (metres[:, 1] > 1.5 * CLOTHES).all()
    assert (metres < 2.5 * CLOTHES).all()


def test_overlap_tells_the_right_place_from_a_wrong_one(evidence: Evidence, body: BodyModel) -> None:
    boxes = _boxes(evidence, body)
    right, wrong = (
        boxes.visible_extent(_start(body, shift)(slice(None)), torch.zeros(10)).double().numpy()
        for shift in (0.0, 1.6)
    )
    found = mask_boxes(evidence.masks, evidence.valid)
    assert (overlaps(right, found) > 0.7).all()
    assert (overlaps(wrong, found) < 0.3).all()


@pytest.mark.parametrize("scale", [0.6, 1.8])
def test_a_start_at_another_distance_is_placed_by_its_size(
    evidence: Evidence, body: BodyModel, scale: float
) -> None:
    poses, trans = true_motion(9)
    trajectory = Trajectory(poses, scale * trans, torch.zeros(10), body, [Scale(0.8)])
    _boxes(evidence, body).place(trajectory)
    assert ((trajectory.motion()[1] - trans).norm(dim=1) < 0.1 * trans[:, 2]).all()


def test_a_good_start_stays_at_its_distance(evidence: Evidence, body: BodyModel) -> None:
    trajectory = _start(body, shift=0.5)
    before = trajectory.distance.detach().clone()
    _boxes(evidence, body).place(trajectory)
    assert torch.equal(trajectory.distance, before)


def test_sides_on_the_edge_of_the_picture_say_nothing(evidence: Evidence, body: BodyModel) -> None:
    masks = [m.copy() for m in evidence.masks]
    for mask in masks:
        mask[:, :2] = 255
    found = mask_boxes(masks, evidence.valid)
    assert not Boxes(spread(body, 100, seed=0), found, (WIDTH, HEIGHT), K).known[:, 0].any()


def test_landmarks_are_met_by_the_truth_and_correct_poses(evidence: Evidence, body: BodyModel) -> None:
    landmarks = Landmarks(_true_landmarks(body), K, 90.0, torch.device("cpu"))
    assert landmarks.loss(_start(body)(slice(None)), slice(None)) < 1e-6
    truth = body.articulate(*true_motion(9), torch.zeros(10))[1]

    def error(observed: Landmarks | None) -> float:
        trajectory = _start(body, noise=0.15)
        for _ in align(trajectory, _boxes(evidence, body), observed, 10.0, SETTINGS, torch.zeros(4)):
            pass
        return float((trajectory.motion()[2] - truth)[..., :2].norm(dim=-1).mean())

    assert error(landmarks) < 0.7 * error(None)


def test_unseen_and_damaged_landmarks_do_nothing(body: BodyModel) -> None:
    observed = _true_landmarks(body)
    observed[0, :, :, 2] = 0
    observed[0, 0] = np.nan
    landmarks = Landmarks(observed, K, 90.0, torch.device("cpu"))
    assert landmarks.loss(_start(body, shift=1.0)(slice(None)), slice(None)) == 0


def test_given_height_is_met_exactly(body: BodyModel) -> None:
    betas, factor = with_height(body, torch.zeros(10), 1.6)
    assert height_error(body, betas, 1.6) < 1e-6
    vertices = body.shape(betas)[0][:, 1]
    assert float(vertices.max() - vertices.min()) == pytest.approx(1.6, abs=0.01)
    assert factor < 1


def test_small_and_near_is_as_many_heights_away_as_tall_and_far(body: BodyModel) -> None:
    poses, trans = true_motion(9)
    far = Trajectory(poses, trans, torch.zeros(10), body, [Scale(0.8)])
    betas, factor = with_height(body, torch.zeros(10), 1.5)
    pelvis, rest = trans + body.shaped_joints(torch.zeros(10))[0], body.shaped_joints(betas)[0]
    near = Trajectory(poses, factor * pelvis - rest, betas, body, [Scale(0.8)])
    assert near.mean_log_distance() < far.mean_log_distance() - 0.1
    torch.testing.assert_close(log_heights_away(near), log_heights_away(far))


def test_switched_off_terms_bend_nothing(evidence: Evidence, body: BodyModel) -> None:
    off = Weights(box=0, smoothness=0, rotation_prior=0, shape_prior=0, ground=0)
    trajectory = _start(body, shift=0.5)
    before = trajectory.motion()[0]
    settings = OptimiserSettings(alignment_steps=5, weights=off)
    for _ in align(trajectory, _boxes(evidence, body), None, 10.0, settings, torch.zeros(4)):
        pass
    torch.testing.assert_close(trajectory.motion()[0], before)
