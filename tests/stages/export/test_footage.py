from dataclasses import replace

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body.posture import up_axis
from stages.export import footage
from stages.export.clip import Clip, evenly
from tests.stages.export.conftest import GREEN, HEIGHT, UNSEEN, WIDTH, K

BELOW_LABELS = slice(40, None)


def close_to(image: np.ndarray, color: tuple[int, int, int], tolerance: int = 40) -> np.ndarray:
    return (np.abs(image.astype(int) - color) <= tolerance).all(axis=-1)


def test_the_refined_outline_lies_on_the_person_and_the_initial_one_beside(clip: Clip) -> None:
    drawn = footage.outlined(clip, 0, footage.whole_picture(clip, HEIGHT))
    inside = clip.mask(0)[BELOW_LABELS] > 127
    after, before = (close_to(drawn, c)[BELOW_LABELS] for c in (footage.AFTER, footage.BEFORE))
    assert after.sum() > 50
    assert before.sum() > 50
    columns = np.arange(WIDTH)
    person = np.average(columns, weights=inside.sum(axis=0))
    shift = 0.15 * K[0, 0] / 3.5
    assert np.average(columns, weights=after.sum(axis=0)) == pytest.approx(person, abs=3)
    assert np.average(columns, weights=before.sum(axis=0)) > person + shift / 2


def test_a_frame_without_the_person_says_so_and_draws_no_body(clip: Clip) -> None:
    drawn = footage.outlined(clip, UNSEEN, footage.whole_picture(clip, HEIGHT))
    assert not close_to(drawn, footage.AFTER).any()
    assert (drawn == clip.frames.image(UNSEEN))[BELOW_LABELS].all()


def test_the_subjects_window_holds_the_person_in_every_frame(clip: Clip) -> None:
    window = footage.subject_window(clip, 640)
    for index in clip.seen:
        rows, columns = np.nonzero(clip.mask(index) > 127)
        assert window.top <= rows.min()
        assert rows.max() < window.top + window.rows
        assert window.left <= columns.min()
        assert columns.max() < window.left + window.columns
    assert window.width % 2 == window.height % 2 == 0
    assert window.height <= 2 * window.rows


def test_a_window_maps_points_as_it_maps_pixels(clip: Clip) -> None:
    window = footage.Window(left=10, top=20, columns=40, rows=50, width=80, height=100)
    point = np.array([0.05, -0.1, 3.0])
    u, v = (K @ point / point[2])[:2]
    mapped = window.intrinsics(K) @ point / point[2]
    assert mapped[:2] == pytest.approx([(u - 10) * 2, (v - 20) * 2])
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[20:70, 10:50] = 200
    assert (window.of(image) == 200).all()


def test_the_avatar_is_drawn_where_the_video_shows_the_person(clip: Clip) -> None:
    (row,) = footage.comparison(clip, [0], 640)
    video, rendered, aside = np.split(row, 3, axis=1)
    person = ~close_to(video, tuple(GREEN))
    drawn = rendered.astype(int).max(axis=2) - rendered.astype(int).min(axis=2) > 60
    overlap = (person & drawn)[BELOW_LABELS].sum() / (person | drawn)[BELOW_LABELS].sum()
    assert overlap > 0.85
    seen_from_the_side = aside.astype(int).max(axis=2) - aside.astype(int).min(axis=2) > 60
    # In the T-pose a person is far wider from the front than from the side.
    assert np.ptp(np.nonzero(seen_from_the_side)[1]) < 0.6 * np.ptp(np.nonzero(drawn)[1])


def test_without_the_person_only_the_video_is_shown(clip: Clip) -> None:
    (row,) = footage.comparison(clip, [UNSEEN], 640)
    _, rendered, _ = np.split(row, 3, axis=1)
    assert (np.ptp(rendered.astype(int), axis=2) == 0)[BELOW_LABELS].all()


def test_up_is_the_standing_bodys(clip: Clip) -> None:
    x, y, _ = up_axis(clip.refined)
    assert (x, y) == pytest.approx((0, -1), abs=0.02)


def test_up_ignores_frames_in_which_the_person_crouches_or_bends(clip: Clip) -> None:
    joints = clip.refined.joints.copy()
    bent = clip.seen[1::2]
    joints[bent, 15] = joints[bent, 0] + [0, 0.1, -0.3]
    moved = replace(clip, refined=replace(clip.refined, joints=joints))
    assert up_axis(moved.refined) == pytest.approx(up_axis(clip.refined), abs=0.01)


def test_up_is_the_pictures_where_nobody_stands(clip: Clip) -> None:
    joints = clip.refined.joints[:, :, [0, 2, 1]]
    lying = replace(clip, refined=replace(clip.refined, joints=joints))
    assert up_axis(lying.refined).tolist() == [0, -1, 0]


def test_the_turntable_shows_the_whole_avatar_upright_from_every_side(avatar: Avatar) -> None:
    turntable = footage.Turntable(avatar, 160)
    front, left, back, right = turntable.turn(4)
    for picture in (front, left, back, right):
        assert picture.shape == (160, 120, 3)
        colored = np.ptp(picture.astype(int), axis=2) > 60
        assert not colored[:3].any() | colored[-3:].any() | colored[:, :2].any() | colored[:, -2:].any()
        assert colored.any(axis=1).sum() > 100
        red, blue = (np.nonzero(colored & (picture[..., c] > 150))[0].mean() for c in (0, 2))
        assert red < blue  # the red half on top
    widths = [(np.ptp(p.astype(int), axis=2) > 60).any(axis=0).sum() for p in (front, left, back, right)]
    assert min(widths[0], widths[2]) > 1.5 * max(widths[1], widths[3])


@pytest.mark.parametrize("count, expected", [(3, [0, 5, 9]), (10, list(range(10))), (99, list(range(10)))])
def test_evenly_keeps_the_ends(count: int, expected: list[int]) -> None:
    assert evenly(range(10), count) == pytest.approx(expected, abs=1)
    assert evenly(range(10), count)[0] == 0
    assert evenly(range(10), count)[-1] == 9


def test_coverage_is_told_by_colour(avatar: Avatar) -> None:
    count = len(avatar)
    coverage = torch.tensor([0.0, 0.1, 0.3, 1.0]).repeat(count // 4 + 1)[:count]
    colors = footage.by_coverage(replace(avatar, coverage=coverage)).colors
    orange, also_orange, pale, dark = colors[:4]
    assert torch.equal(orange, also_orange)
    assert orange[0] > orange[2]
    assert pale[2] > pale[0]
    assert dark.sum() < pale.sum()
