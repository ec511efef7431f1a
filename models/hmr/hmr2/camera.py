"""From the network's weak perspective camera of a crop to the space of the camera that took the picture.

In a crop of side b pixels around (cx, cy), a point X of the body (as the network orients it, from SMPL's
origin) lies at

    (u, v) = (cx, cy) + b s / 2 (X + (tx, ty)),

with the network's s, tx, ty. A camera of focal length f shows it there, and of that size, at the distance
z = 2 f / (b s). 4D-Humans does not know the camera and takes f = 5000/256 times the picture's longer side: a
very long lens, far away, for which every crop is seen along the optical axis. With the clip's true f a crop
is seen along the ray through its middle instead, and the orientation, which the network gives as if that ray
were the axis, has to be turned with it.
"""

import numpy as np
from numpy.typing import NDArray

from models.cameras import towards

Array = NDArray[np.float64]


def origins(camera: Array, centres: Array, sides: Array, K: Array) -> Array:
    """Where the body's origin is, that of SMPL's rest pose.

    Args:
        camera: (T, 3) the network's s, tx, ty; s above 0.
        centres: (T, 2) of the crops' squares, pixels.
        sides: (T,) of the squares, pixels.
        K: (3, 3) of the picture that the squares are in.

    Returns:
        (T, 3) metres in camera space (OpenCV).
    """
    focal = np.array([K[0, 0], K[1, 1]], np.float64)
    scale = sides * camera[:, 0]
    depth = 2 * focal.mean() / scale
    aside = camera[:, 1:] + (centres - K[:2, 2]) / focal * depth[:, None]
    return np.concatenate([aside, depth[:, None]], -1)


def views(centres: Array, K: Array) -> Array:
    """The rotations (T, 3, 3) to camera space from that of a camera that looks straight at pixels (T, 2)."""
    rays = np.linalg.solve(K, np.concatenate([centres, np.ones((len(centres), 1))], -1).T).T
    return towards(rays)
