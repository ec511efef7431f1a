"""Left and right in a sequence of landmarks: which frames have them the wrong way round.

BlazePose looks at single pictures, and where somebody turns or limbs cross it sometimes takes left for right
in some frames. The limbs then jump at both ends of these frames, and do not once the labels are exchanged.
"""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from models.people.landmarks import Landmarks
from models.sequence import steady_path

Array = NDArray[np.floating]

_LEFT = np.arange(11, 32, 2)  # shoulder, elbow, wrist, fingers, hip, knee, ankle, heel, toes
_ARM, _LEG = _LEFT[:6], _LEFT[6:]
_FACE = np.array([0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9])  # its mirror image
_SEEN = np.array([0, 7, 8, *range(11, 17), *range(23, 33)])  # the landmarks that are compared
RELUCTANCE = 0.15  # of the clip's usual acceleration, for every frame that is exchanged
JITTER = 0.01  # of the person's size a frame squared


def _exchanged(*lefts: NDArray[np.intp], face: bool = False) -> NDArray[np.intp]:
    order = np.arange(33)
    for left in lefts:
        order[left], order[left + 1] = left + 1, left
    if face:
        order[:11] = _FACE
    return order


# In the order seen; legs, arms, both, and everything exchanged.
ORDERS = np.stack([_exchanged(), _exchanged(_LEG), _exchanged(_ARM), _exchanged(_LEG, _ARM),
                   _exchanged(_LEG, _ARM, face=True)])  # fmt: skip


def with_steady_sides(landmarks: Landmarks) -> Landmarks:
    """The landmarks with left and right exchanged where that makes the motion smoother by far.

    Every pass is looked at for itself, in every run of frames in which it saw the person; a pass that then
    contradicts the others is brought in line.
    """
    points = _points(landmarks)
    chosen = np.zeros(landmarks.valid.shape, np.intp)
    for number, valid in enumerate(landmarks.valid):
        edges = np.flatnonzero(np.diff(valid.astype(int), prepend=0, append=0))
        for start, end in edges.reshape(-1, 2):
            chosen[number, start:end] = _orders(points[number, start:end])
    chosen = _agreed(points, chosen, landmarks.valid)
    order = ORDERS[chosen][..., None]
    image, world = (np.take_along_axis(a, order, 2) for a in (landmarks.image, landmarks.world))
    return Landmarks(image, world, landmarks.valid)


def _points(landmarks: Landmarks) -> Array:
    """(N,T,33,3) places in the picture and in depth, in body sizes: seen from the side, left and right differ
    in depth alone."""
    image, world = landmarks.image, landmarks.world
    sizes = [np.median(np.ptp(a[landmarks.valid][:, _SEEN, 1], axis=1)) + 1e-6 for a in (image, world)]
    return np.concatenate([image[..., :2] / sizes[0], world[..., 2:] / sizes[1]], -1)


def _agreed(points: Array, chosen: NDArray[np.intp], valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The orders (N,T) that bring every pass nearest to the median of all passes in the orders chosen."""
    ordered = np.take_along_axis(points, ORDERS[chosen][..., None], 2)
    ordered[~valid] = np.nan
    with warnings.catch_warnings(action="ignore"):  # frames that no pass saw
        middle = np.nanmedian(ordered, axis=0)[:, None, _SEEN]
    apart = np.linalg.norm(points[:, :, ORDERS][..., _SEEN, :] - middle, axis=-1).mean(-1)
    return np.where(valid & (valid.sum(0) > 2), np.nan_to_num(apart, nan=0.0).argmin(-1), chosen)


def _orders(points: Array) -> NDArray[np.intp]:
    """(T,) indices into ORDERS for a run of frames (T,33,3)."""
    return steady_path(torch.from_numpy(points[:, ORDERS][:, :, _SEEN]), JITTER**2, RELUCTANCE).numpy()
