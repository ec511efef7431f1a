"""Numbered boxes to people: hidden, renumbered, exchanged, gone. The Results are ultralytics' own."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

torch = pytest.importorskip("torch")
results = pytest.importorskip("ultralytics.engine.results", reason="ultralytics is not installed")

from models.people.boxes import box_detection, people_in_boxes  # noqa: E402
from models.people.tracking import Track  # noqa: E402
from models.people.yolo import follow, numbered  # noqa: E402

FPS = 15.0
HEIGHT = 200.0  # pixels; a radius is 100
PICTURE = np.zeros((480, 1280, 3), np.uint8)
Place = Callable[[int], tuple[float, float] | None]


def box(x: float, y: float, height: float = HEIGHT) -> list[float]:
    """Around somebody whose middle is at x, y."""
    return [x - 0.2 * height, y - 0.5 * height, x + 0.2 * height, y + 0.5 * height]


def result(people: Mapping[int, tuple[float, float]], score: float = 0.9) -> results.Results:
    """What ultralytics' tracker gives for a frame: people's places by their numbers."""
    rows = [[*box(*place), number, score, 0] for number, place in people.items()]
    boxes = torch.tensor(rows) if rows else torch.zeros(0, 7)
    return results.Results(PICTURE, path="", names={0: "person"}, boxes=boxes)


def found(*frames: Mapping[int, tuple[float, float]]) -> list[Track]:
    return people_in_boxes([numbered(result(people)) for people in frames], FPS)


def xs(track: Track) -> np.ndarray:
    return np.array([d.circle.hips[0] for d in track.detections])


def test_boxes_become_circles_and_stay() -> None:
    (track,) = found(*[{1: (100.0 + t, 240.0)} for t in range(30)])
    np.testing.assert_allclose(xs(track), 100 + np.arange(30), atol=1e-4)
    assert track.radii == pytest.approx(np.full(30, 100.0))
    boxes = track.boxes(32)
    assert boxes is not None
    np.testing.assert_allclose(boxes[0], box(100, 240), atol=1e-4)
    np.testing.assert_array_equal(np.isfinite(boxes[:, 0]), np.arange(32) < 30)
    np.testing.assert_array_equal(track.detections[0].circle.up, [0, -100])


def test_somebody_hidden_for_a_second_who_comes_back_with_another_number() -> None:
    hidden = range(20, 34)
    frames = [{} if t in hidden else {1 if t < 20 else 7: (100.0 + 8 * t, 240.0)} for t in range(60)]
    (track,) = found(*frames)
    assert len(track.frames) == 60 - len(hidden)
    circles = track.circles(60, FPS)
    np.testing.assert_allclose([c.hips[0] for c in circles if c], 100 + 8.0 * np.arange(60), atol=1e-4)


def test_somebody_who_stops_while_hidden() -> None:
    frames = [{1: (100.0 + 8 * t, 240.0)} for t in range(20)] + [{}] * 10 + [{2: (270.0, 240.0)}] * 20
    assert len(found(*frames)) == 1


@pytest.mark.parametrize(
    "back", [{2: (1000.0, 240.0)}, {2: (252.0, 20.0)}], ids=["too far along", "too far aside"]
)
def test_somebody_elsewhere_is_somebody_else(back: dict[int, tuple[float, float]]) -> None:
    frames = [{1: (100.0 + 8 * t, 240.0)} for t in range(20)] + [{}] * 10 + [back] * 20
    assert len(found(*frames)) == 2


def test_somebody_away_for_longer_or_of_another_size_is_somebody_else() -> None:
    here = [{1: (100.0, 240.0)}] * 20
    assert len(found(*here, *[{}] * 20, *[{2: (100.0, 240.0)}] * 20)) == 2
    large = [{3: (box_detection(np.array(box(100, 240, 450)), 0.9).box, 0.9)}] * 20
    small = [numbered(result(people)) for people in here]
    assert len(people_in_boxes([*small, {}, *large], FPS)) == 2


def test_numbers_that_are_exchanged_are_put_right() -> None:
    left, right = (300.0, 240.0), (700.0, 240.0)
    frames = [{1: left, 2: right}] * 20 + [{2: left, 1: right}] * 20
    tracks = found(*frames)
    assert [len(t.frames) for t in tracks] == [40, 40]
    assert sorted(np.ptp(xs(t)) for t in tracks) == [0, 0]


def test_gaps_are_filled_and_false_alarms_left_out() -> None:
    frames = [{1: (300.0, 240.0)} if t % 3 else {} for t in range(30)]
    frames[10][9] = frames[11][9] = (900.0, 240.0)
    (track,) = found(*frames)
    assert all(track.circles(30, FPS)[1:])


def test_nobody() -> None:
    assert found(*[{}] * 10) == []
    assert people_in_boxes([], FPS) == []
    assert numbered(results.Results(PICTURE, path="", names={0: "person"}, boxes=torch.zeros(0, 6))) == {}


# --- ByteTrack's own numbers, from boxes without any ------------------------------------------------------


def unnumbered(*people: tuple[float, float, float]) -> results.Results:
    rows = [[*box(x, y), score, 0] for x, y, score in people]
    boxes = torch.tensor(rows) if rows else torch.zeros(0, 6)
    return results.Results(PICTURE, path="", names={0: "person"}, boxes=boxes)


def numbers(frames: list[results.Results]) -> list[list[int]]:
    return [sorted(numbered(r)) for r in follow(frames, FPS)]


def test_a_number_outlasts_an_occlusion() -> None:
    frames = [unnumbered((200.0 + 2 * t, 240, 0.9)) if not 20 <= t < 33 else unnumbered() for t in range(50)]
    seen = numbers(frames)
    assert seen[:20] == [[1]] * 20 and seen[20:33] == [[]] * 13
    assert seen[33:] == [[1]] * 17


def test_boxes_stay_as_they_were_seen() -> None:
    frames = [unnumbered((200.0 + (t % 2) * 9, 240, 0.9)) for t in range(10)]
    for frame, followed in zip(frames, follow(frames, FPS), strict=True):
        torch.testing.assert_close(followed.boxes.xyxy, frame.boxes.xyxy)
        torch.testing.assert_close(followed.boxes.conf, frame.boxes.conf)


def test_two_who_cross_keep_their_numbers() -> None:
    frames = [unnumbered((100.0 + 10 * t, 200, 0.9), (700.0 - 10 * t, 280, 0.8)) for t in range(60)]
    tracks = people_in_boxes([numbered(r) for r in follow(frames, FPS)], FPS)
    assert len(tracks) == 2
    for track in tracks:
        assert len(track.frames) == 60
        assert len(set(np.sign(np.diff(xs(track))))) == 1


def test_a_doubtful_box_goes_on_with_a_track_but_begins_none() -> None:
    sure, unsure = (200.0, 240.0, 0.9), (200.0, 240.0, 0.2)
    assert numbers([unnumbered(sure)] * 5 + [unnumbered(unsure)] * 5) == [[1]] * 10
    assert numbers([unnumbered(unsure)] * 5 + [unnumbered((200.0, 240.0, 0.4))] * 5) == [[]] * 10
