"""The embedded engine: BlazePose's masks, as stage detect wrote them, brought to the picture's edges."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.segmentation import learn_scene, refine_silhouette
from stages.base import Work
from stages.frames import Frames
from stages.images import numbered, read_grey
from stages.masks.drawing import Drawing, Mask, Subject, nobody

SAMPLES = 24  # pictures from which the scene is learnt


def refined_silhouettes(work: Work, frames: Frames, subject: Subject) -> Drawing:
    """The network's probabilities refined."""

    def probability(index: int) -> NDArray[np.float32]:
        path = numbered(work.inputs["detect"] / "silhouettes", index)
        return read_grey(path).astype(np.float32) / np.float32(255)

    seen = np.flatnonzero(subject.valid)
    if not len(seen):
        raise nobody()
    chosen = seen[np.unique(np.linspace(0, len(seen) - 1, SAMPLES).round().astype(int))]
    scene = learn_scene([frames.image(i) for i in chosen], [probability(i) for i in chosen])

    def masks() -> Iterator[Mask]:
        for index in range(len(frames)):
            if subject.valid[index]:
                box = subject.boxes[index]
                coverage = refine_silhouette(frames.image(index), probability(index), scene, box)
                yield np.round(255 * coverage).astype(np.uint8)
            else:
                yield np.zeros((frames.height, frames.width), dtype=np.uint8)

    return Drawing(masks(), {"still_camera": scene.background is not None})
