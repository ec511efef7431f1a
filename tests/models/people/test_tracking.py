"""Following people: made-up detections, no network."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from models.people.tracking import Circle, Detection, Track, Tracker, distinct

FPS = 15.0
RADIUS = 100.0
Path = Callable[[int], tuple[float, float] | None]


def seen(x: float, y: float, radius: float = RADIUS, score: float = 0.9) -> Detection:
    return Detection(Circle(np.array([x, y]), np.array([0.0, -radius])), score)


def track_all(paths: Sequence[Path], length: int, follows: bool = True) -> list[Track]:
    """Tracks people whose hips go along `paths`; a path gives None where its person is not to be seen."""
    tracker = Tracker(FPS)
    for frame in range(length):
        people = [seen(*place) for path in paths if (place := path(frame))]

        def follow(circle: Circle, people: list[Detection] = people) -> Detection | None:
            near = [p for p in people if p.circle.distance(circle) < RADIUS]
            return min(near, key=lambda p: p.circle.distance(circle)) if near and follows else None

        tracker.update(lambda people=people: people, follow)
    return tracker.tracks()


@pytest.mark.parametrize("follows", [True, False])
def test_two_people_who_cross_keep_their_tracks(follows: bool) -> None:
    right = track_all([lambda t: (20.0 * t, 100.0), lambda t: (600.0 - 20 * t, 260.0)], 30, follows)
    assert [len(t.frames) for t in right] == [30, 30]
    ends = sorted((t.detections[0].circle.hips[0], t.detections[-1].circle.hips[0]) for t in right)
    np.testing.assert_allclose(ends, [(0, 580), (600, 20)])


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    (track,) = track_all([lambda t: None if 10 <= t < 20 else (5.0 * t, 100.0)], 40)
    circles = track.circles(40, FPS)
    assert all(circles)
    np.testing.assert_allclose([c.hips[0] for c in circles if c], 5.0 * np.arange(40), atol=1e-6)

    tracks = track_all([lambda t: None if 10 <= t < 32 else (5.0 * t, 100.0)], 40)
    assert [(t.frames[0], t.frames[-1]) for t in tracks] == [(0, 9), (32, 39)]
    assert tracks[0].circles(40, FPS)[10:] == [None] * 30


def test_a_jump_starts_a_new_track() -> None:
    tracks = track_all([lambda t: (100.0 if t < 20 else 200.0, 100.0)], 35)
    assert [(t.frames[0], t.frames[-1]) for t in tracks] == [(0, 19), (20, 34)]


def test_no_two_tracks_hold_one_person() -> None:
    # Two people meet and one vanishes behind the other.
    tracks = track_all([lambda t: (300.0, 100.0), lambda t: (20.0 * t, 100.0) if t < 13 else None], 40)
    for frame in range(13, 40):
        assert sum(frame in t.frames for t in tracks) == 1


def test_the_longest_and_largest_comes_first() -> None:
    tracker = Tracker(FPS)
    near, far, brief = seen(100, 200), seen(500, 100, radius=40), seen(900, 200, radius=150)
    for frame in range(30):
        here = [near, far] + [brief] * (frame < 10)
        tracker.update(
            lambda here=here: here,
            lambda circle, here=here: min(here, key=lambda d: d.circle.distance(circle)),
        )
    radii = [t.radii.mean() for t in tracker.tracks()]
    assert radii[0] == RADIUS
    assert sorted(radii) == [40, 100, 150]


def test_a_doubtful_or_brief_finding_is_nobody() -> None:
    tracker = Tracker(FPS)
    for frame in range(20):
        found = [seen(100, 100, score=0.5)] + [seen(500, 100)] * (frame in (5, 10))
        tracker.update(lambda found=found: found, lambda circle: None)
    assert tracker.tracks() == []


def test_distinct_keeps_the_surest_of_each_person() -> None:
    kept = distinct([seen(100, 100, score=0.6), seen(110, 105, score=0.9), seen(300, 100, score=0.7)])
    assert [d.score for d in kept] == [0.9, 0.7]
