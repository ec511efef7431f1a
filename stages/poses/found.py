"""What an engine found, as the motion of the clip."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.body import BodyModel, Motion
from stages.frames import Frames

Array = NDArray[np.float64]


class Found(Protocol):
    """T frames of a body in camera space: see `Motion`."""

    @property
    def poses(self) -> Array: ...
    @property
    def trans(self) -> Array: ...
    @property
    def betas(self) -> Array: ...
    @property
    def joints(self) -> Array: ...


def found_motion(found: Found, valid: NDArray[np.bool_], frames: Frames, body: BodyModel) -> Motion:
    """The motion of the frames kept, as their camera sees it.

    Args:
        found: of this body, a row for every frame kept.
        valid: (T,) the frames in which the engine saw the person.
    """
    return Motion(
        poses=found.poses.astype(np.float32),
        trans=found.trans.astype(np.float32),
        betas=found.betas.astype(np.float32),
        joints=found.joints.astype(np.float32),
        frame=frames.source_index,
        fps=frames.fps,
        K=frames.K_source,
        width=frames.source_width,
        height=frames.source_height,
        body=body.kind,
        valid=valid,
    )
