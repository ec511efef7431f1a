"""The network run over a clip's crops, and its answers in the space of the clip's camera."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.body import JOINT_COUNT, SHAPE_COUNT
from models.body.rotations import sixd_to_matrix
from models.devices import Batches
from models.hmr.hmr2 import camera
from models.hmr.hmr2.crop import crop, squares
from models.hmr.hmr2.network import Hmr2

Array = NDArray[np.float64]
Crop = NDArray[np.float32]

SMALLEST_SCALE = 0.05
"""Of the weak perspective camera; a person as tall as their crop has about 1. Below it the answer is none."""
POSE_SIZE = 6 * JOINT_COUNT


@dataclass(frozen=True, eq=False)
class Estimates:
    """What the network says of T frames, each by itself.

    Attributes:
        rotations: (T, 24, 3, 3), joint 0 the body's orientation in camera space.
        origins: (T, 3) metres, where the origin of SMPL's rest pose is in camera space.
        betas: (T, 10) SMPL's shape coefficients.
        known: (T,) bool, the frames that have an answer; the other values mean nothing in the others.
    """

    rotations: Array
    origins: Array
    betas: Array
    known: NDArray[np.bool_]


def crops(pictures: Iterable[NDArray[np.uint8]], boxes: Array, wanted: NDArray[np.bool_]) -> Iterator[Crop]:
    """The network's input for the wanted ones of T pictures, with boxes (T, 4) in pixels."""
    for picture, box, want in zip(pictures, boxes, wanted, strict=True):
        if want:
            yield crop(picture, box)


def answers(network: Hmr2, device: torch.device, inputs: Iterable[Crop], batches: Batches) -> Iterator[Array]:
    """What the network says of each crop: (157,) pose, shape and camera.

    Args:
        network: on the device.
        device: where it is; batches are put there.
        inputs: (3, 256, 192) float32 each.
        batches: how many at once.
    """

    def process(batch: Sequence[Crop]) -> list[Array]:
        with torch.inference_mode():
            said = network(torch.from_numpy(np.stack(batch)).to(device))
            return list(torch.cat(said, -1).double().cpu().numpy())

    return batches.map(inputs, process)


def placed(said: Array, wanted: NDArray[np.bool_], boxes: Array, K: Array) -> Estimates:
    """The answers in camera space.

    Args:
        said: (N, 157) `answers` of the wanted frames.
        wanted: (T,) bool, N of them true.
        boxes: (T, 4) x0 y0 x1 y1 pixels that the crops were made from.
        K: (3, 3) intrinsics of the pictures.
    """
    everything = np.zeros((len(wanted), POSE_SIZE + SHAPE_COUNT + 3))
    everything[wanted] = said
    pose, betas, cameras = np.split(everything, (POSE_SIZE, POSE_SIZE + SHAPE_COUNT), axis=1)
    known = wanted & np.isfinite(everything).all(1) & (cameras[:, 0] > SMALLEST_SCALE)
    pose = np.where(known[:, None], pose, np.tile([1.0, 0, 0, 0, 1, 0], JOINT_COUNT))
    cameras = np.where(known[:, None], cameras, (1.0, 0, 0))
    rotations = sixd_to_matrix(torch.from_numpy(pose).unflatten(-1, (JOINT_COUNT, 6))).numpy()
    centres, sides = squares(boxes)
    rotations[:, 0] = camera.views(centres, K) @ rotations[:, 0]
    return Estimates(rotations, camera.origins(cameras, centres, sides, K), betas, known)
