import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.avatar.remarks import headings, only_side, remarks, stands_still

UPRIGHT = Rotation.from_rotvec([np.pi, 0, 0])  # facing the camera
AHEAD = np.array([[0.0, 0, 3]])


def _poses(turns: np.ndarray) -> np.ndarray:
    """(T,72) of somebody who has turned by so many degrees to the right of the picture."""
    poses = np.zeros((len(turns), 72))
    about_up = Rotation.from_rotvec(np.outer(np.radians(turns), [0, -1, 0]))
    poses[:, :3] = (about_up * UPRIGHT).as_rotvec()
    return poses


def test_headings_are_turns_away_from_the_camera() -> None:
    turns = np.array([0.0, 40, 90, 179, -120])
    heading = headings(_poses(turns), np.repeat(AHEAD, 5, 0))
    np.testing.assert_allclose(np.degrees(heading), turns, atol=1e-6)


def test_a_person_beside_the_axis_faces_the_camera_when_turned_to_it() -> None:
    heading = headings(_poses(np.array([-45.0])), np.array([[3.0, 0, 3]]))
    np.testing.assert_allclose(heading, 0, atol=1e-6)


@pytest.mark.parametrize(
    ("turns", "side"),
    [
        ([-30, 0, 30], "the front"),
        ([150, 180, -160], "the back"),
        ([80, 110], "the right"),
        ([-70, -100], "the left"),
        ([0, 50, 100], None),
        (range(0, 360, 30), None),
    ],
)
def test_one_side_only_is_named(turns: list[int], side: str | None) -> None:
    heading = np.radians(np.asarray(turns, float))
    assert only_side((heading + np.pi) % (2 * np.pi) - np.pi) == side


def test_remarks_tell_what_is_guessed() -> None:
    random = np.random.default_rng(0)
    still = np.repeat(random.normal(size=(1, 24, 3)), 8, 0) + 0.005 * random.normal(size=(8, 24, 3))
    still[:, 0] = AHEAD
    moving = still + 0.1 * np.arange(8)[:, None, None]
    assert stands_still(still) and not stands_still(moving)
    front, around = _poses(np.zeros(8)), _poses(45.0 * np.arange(8))
    found = remarks(front, still, 0.4)
    assert len(found) == 2 and "only from the front" in found[0] and "40%" in found[0]
    assert remarks(around, moving, 0.1) == []
    assert "30% of the body" in remarks(around, moving, 0.3)[0]
