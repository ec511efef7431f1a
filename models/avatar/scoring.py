"""How well an avatar, posed by somebody, agrees with pictures of the person."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar.avatar import Avatar
from models.cameras import Camera
from models.metrics.image import Agreement, Distance, agreement

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class View:
    """A picture of the person, and how the avatar has to stand to look the same.

    Attributes:
        image: (H,W,3) uint8 RGB.
        mask: (H,W) uint8, 255 where the person is.
        K: (3,3) of this picture, pixel centres at +0.5.
        pose: (72,) axis-angle, joint 0 orienting the body in the pose's space.
        pelvis: (3,) metres in that space; the avatar's own pelvis goes there.
        T_cam_world: (4,4) from that space to the camera's; None where they are the same.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    K: Array
    pose: Array
    pelvis: Array
    T_cam_world: Array | None = None


@torch.no_grad()
def score(avatar: Avatar, view: View, distance: Distance | None = None) -> Agreement:
    """Rendering and picture over white, each with its own alpha.

    Args:
        avatar: on the CPU.
        view: its mask must not be empty.
        distance: LPIPS, if it is wanted.
    """
    height, width = view.mask.shape
    posed = avatar.pose(_tensor(view.pose), _tensor(view.pelvis) - avatar.rest_joints[0])
    drawn = posed.render(Camera(view.K, width, height, view.T_cam_world)).numpy()
    return agreement(view.image / 255, view.mask / 255, drawn[..., :3], drawn[..., 3], distance)


def mean_score(scores: Iterable[Agreement]) -> dict[str, float | None]:
    """The mean of every figure; None where a picture has none.

    Raises:
        ValueError: no scores.
    """
    rows = [asdict(each) for each in scores]
    if not rows:
        raise ValueError("there is nothing to take the mean of")
    columns = {field.name: [row[field.name] for row in rows] for field in fields(Agreement)}
    return {name: None if None in values else float(np.mean(values)) for name, values in columns.items()}


def _tensor(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float32))
