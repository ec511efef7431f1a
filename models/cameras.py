"""Cameras around a person: orbits, rays, and intrinsics of a resized picture."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def scale_intrinsics(K: ArrayLike, factor_x: float, factor_y: float) -> Array:
    """Intrinsics (3,3) of the picture resized by these factors, pixel centres at +0.5."""
    return np.diag([factor_x, factor_y, 1.0]) @ np.asarray(K, np.float64)


def orbit(center: ArrayLike, axis: ArrayLike, angle: float) -> Array:
    """The camera moved on a circle around a point of its own space, looking at it as before.

    Args:
        center: (3,) the point, camera space (OpenCV).
        axis: (3,) the direction to turn about, of any length.
        angle: radians, right-handed about the axis. With the axis upwards and a positive angle the camera
            moves to its right, so a person who faces it shows their left side.

    Returns:
        T_cam_world (4,4), from the first camera's space to the moved camera's.
    """
    point = np.asarray(center, np.float64)
    direction = np.asarray(axis, np.float64) / np.linalg.norm(axis)
    # Moving the camera by R about the point is moving the world by its inverse.
    turn = Rotation.from_rotvec(-angle * direction).as_matrix()
    transform = np.eye(4)
    transform[:3, :3] = turn
    transform[:3, 3] = point - turn @ point
    return transform


def look_at(target: ArrayLike, distance: float) -> Array:
    """A level camera in front of a point of a Y-up world, on its +Z side, looking along -Z.

    Args:
        target: (3,) the point, metres.
        distance: metres.

    Returns:
        T_cam_world (4,4), from the Y-up world to camera space (OpenCV).
    """
    transform = np.diag([1.0, -1.0, -1.0, 1.0])
    transform[:3, 3] = [0, 0, distance] - transform[:3, :3] @ np.asarray(target, np.float64)
    return transform


def towards(rays: Array) -> Array:
    """(..., 3, 3) the smallest rotations that turn the optical axis to the rays (..., 3)."""
    axis = np.array([0.0, 0.0, 1.0])
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    x, y, z = np.moveaxis(np.cross(axis, rays), -1, 0)
    o = np.zeros_like(x)
    skew = np.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*x.shape, 3, 3)
    return np.eye(3) + skew + skew @ skew / (1 + rays[..., 2])[..., None, None]
