"""Cameras: where pictures are taken from, orbits around a person, rays, and intrinsics of a resized picture.

Camera space is OpenCV's: x right, y down, z forward, metres. A point (X, Y, Z) is seen at pixel coordinates
K (X, Y, Z) / Z. Pixel (x, y) has its centre at (x + 0.5, y + 0.5): a picture's middle is at (W / 2, H / 2).
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

Array = NDArray[np.float64]


_ROUNDING = 1e-6  # in those numbers of K that have to be 0 or 1


class Camera:
    """A pinhole camera without skew and distortion, or B cameras of one size.

    Attributes:
        K: (3, 3) intrinsics in pixels of the picture, or (B, 3, 3).
        width, height: of the picture, pixels.
        T_cam_world: (4, 4) from the space of what is seen to camera space, or (B, 4, 4); None where both
            are the same.
    """

    def __init__(
        self,
        K: Tensor | ArrayLike,
        width: int,
        height: int,
        T_cam_world: Tensor | ArrayLike | None = None,
    ) -> None:
        """See the attributes; arrays become tensors of their own type.

        Raises:
            ValueError: a wrong shape, a value that is not finite, a focal length or a size not above 0, skew,
                or a K whose last row is not 0 0 1.
        """
        self.K = _matrices("K", K, 3)
        self.width, self.height = int(width), int(height)
        self.T_cam_world = None if T_cam_world is None else _matrices("T_cam_world", T_cam_world, 4)
        if not (self.K[..., 0, 0] > 0).all() or not (self.K[..., 1, 1] > 0).all():
            raise ValueError("a camera needs focal lengths above 0 in K")
        if ((self.K[..., 2, :] - self.K.new_tensor([0, 0, 1])).abs() > _ROUNDING).any():
            raise ValueError("the last row of K is not 0 0 1; is K transposed?")
        if (torch.stack((self.K[..., 0, 1], self.K[..., 1, 0])).abs() > _ROUNDING).any():
            raise ValueError("K has skew, which cannot be drawn: its first two rows are fx 0 cx and 0 fy cy")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a picture of {width} x {height} pixels cannot be taken")

    def to(self, device: torch.device | str) -> "Camera":
        """The same camera with its tensors on `device`."""
        place = self.T_cam_world
        return Camera(self.K.to(device), self.width, self.height, None if place is None else place.to(device))

    def resized(self, width: int, height: int) -> "Camera":
        """A picture of another size from the same place, which shows all that this one shows.

        Where the proportions differ it shows more at two sides; nothing is stretched.
        """
        factor = min(width / self.width, height / self.height)
        K = self.K.clone()
        K[..., :2, :] *= factor
        K[..., 0, 2] += (width - factor * self.width) / 2
        K[..., 1, 2] += (height - factor * self.height) / 2
        return Camera(K, width, height, self.T_cam_world)

    def orbited(self, center: ArrayLike, axis: ArrayLike, angle: float) -> "Camera":
        """The camera moved on a circle around a point, looking at it as before.

        Args:
            center: (3,) the point, in the space of what is seen.
            axis: (3,) the direction to turn about, there.
            angle: radians; positive ones take the camera to its right if the axis points upwards.
        """
        turn = torch.from_numpy(orbit(center, axis, angle)).to(self.K)
        return Camera(
            self.K, self.width, self.height, turn if self.T_cam_world is None else self.T_cam_world @ turn
        )


def _matrices(name: str, values: Tensor | ArrayLike, size: int) -> Tensor:
    """As a floating-point tensor (size, size) or (B, size, size)."""
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values, np.float64))
    if tensor.ndim not in (2, 3) or tensor.shape[-2:] != (size, size):
        raise ValueError(f"{name} must be ({size}, {size}) or (B, {size}, {size}), not {tuple(tensor.shape)}")
    if not tensor.is_floating_point():
        tensor = tensor.double()
    if not tensor.isfinite().all():
        raise ValueError(f"{name} holds values that are not finite numbers")
    return tensor


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
