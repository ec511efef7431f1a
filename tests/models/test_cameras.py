import numpy as np
import pytest

from models.cameras import Camera, look_at, orbit, scale_intrinsics

UP = [0, -1, 0]  # of a level camera


def test_orbit_keeps_the_centre_and_its_distance() -> None:
    center = np.array([0.3, -0.2, 3.0])
    T = orbit(center, [0.1, -2, 0.2], 1.1)
    assert T[:3, :3] @ center + T[:3, 3] == pytest.approx(center)
    assert T[:3, :3] @ T[:3, :3].T == pytest.approx(np.eye(3))
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
    assert orbit(center, UP, 0) == pytest.approx(np.eye(4))


def test_a_quarter_turn_shows_the_left_side_of_a_person_who_faces_the_camera() -> None:
    T = orbit([0, 0, 3], UP, np.pi / 2)
    nose, left_hand = T @ [0, 0, 2.9, 1], T @ [0.7, 0, 3, 1]
    assert nose[0] < -0.09  # in profile, looking to the picture's left
    assert left_hand[2] == pytest.approx(2.3)  # the left hand towards the camera


def test_look_at_sees_a_y_up_world_upright() -> None:
    T = look_at([0, 1, 0], 3.0)
    head, left = T @ [0, 1.8, 0, 1], T @ [0.5, 1, 0, 1]
    assert pytest.approx([0, 0, 3, 1]) == T @ [0, 1, 0, 1]
    assert head[1] == pytest.approx(-0.8)
    assert left[0] == pytest.approx(0.5)  # facing +Z, the person's left is on the picture's right


def test_scaled_intrinsics_keep_relative_positions() -> None:
    K = np.array([[500.0, 0, 240], [0, 510, 320], [0, 0, 1]])
    point = np.array([0.2, 0.1, 2.0])
    u, v, w = scale_intrinsics(K, 0.5, 2) @ point
    u0, v0, w0 = K @ point
    assert (u / w, v / w) == pytest.approx((0.5 * u0 / w0, 2 * v0 / w0))


def test_an_orbited_camera_sees_the_point_where_it_was() -> None:
    camera = Camera([[100, 0, 40], [0, 100, 30], [0, 0, 1]], 80, 60, look_at([0, 1, 0], 3.0))
    moved = camera.orbited([0, 1, 0], [0, 1, 0], np.pi / 2)
    assert moved.T_cam_world is not None
    assert moved.T_cam_world.numpy() @ [0, 1, 0, 1] == pytest.approx([0, 0, 3, 1])
    left = moved.T_cam_world.numpy() @ [0.5, 1, 0, 1]
    assert left == pytest.approx([0, 0, 2.5, 1], abs=1e-6)  # the person's left towards the camera
    plain = Camera(camera.K, 80, 60).orbited([0, 0, 3], UP, 0.7)
    assert plain.T_cam_world is not None
    assert plain.T_cam_world.numpy() == pytest.approx(orbit([0, 0, 3], UP, 0.7))


def test_a_resized_picture_shows_all_that_the_first_showed() -> None:
    camera = Camera([[500.0, 0, 200], [0, 510, 330], [0, 0, 1]], 480, 640)
    half = camera.resized(240, 320)
    assert half.K.numpy() == pytest.approx(scale_intrinsics(camera.K, 0.5, 0.5))
    wide = camera.resized(1000, 320)
    assert wide.K.numpy() == pytest.approx(half.K.numpy() + np.array([[0, 0, 380], [0, 0, 0], [0, 0, 0]]))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"K": np.eye(4)}, "K must be"),
        ({"K": np.full((3, 3), np.nan)}, "finite"),
        ({"K": np.diag([0.0, 1, 1])}, "focal"),
        ({"K": np.array([[9.0, 0, 0], [0, 9, 0], [4, 5, 1]])}, "transposed"),
        ({"K": np.diag([9.0, 9, 2])}, "last row"),
        ({"K": np.array([[9.0, 0.1, 4], [0, 9, 5], [0, 0, 1]])}, "skew"),
        ({"K": np.stack([np.eye(3), np.eye(3) + np.eye(3)[[1, 0, 2]] * [1, 0, 0]])}, "skew"),
        ({"width": 0}, "0 x 10"),
        ({"T_cam_world": np.eye(3)}, "T_cam_world must be"),
    ],
)
def test_cameras_that_are_none_are_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Camera(**{"K": np.eye(3), "width": 10, "height": 10, **changes})
