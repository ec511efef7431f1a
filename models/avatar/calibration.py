"""Depth maps made comparable with the body, once the silhouettes have placed it."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar.depth import MIN_PIXELS, SOLID, fit_slope
from models.avatar.observations import Crops, together
from models.avatar.state import State
from models.avatar.task import Task

MOST_FRAMES = 60
UNLIKELY = 2.5  # times the distance that the alignment found: such metric maps are not in metres

Array = NDArray[np.float64]


@torch.no_grad()
def calibrate(task: Task, state: State, crops: Crops) -> None:
    """Fits the slope of relative maps; metric ones must put the person about where the pictures do.

    Maps that say nothing or contradict are not used, and a warning tells.

    Args:
        crops: of the frames to go by.
    """
    weights, metric = task.settings.weights, task.evidence.disparity is None
    if (metric and task.evidence.depth is None) or not (weights.depth or weights.depth_points):
        return
    size = 1.0 if metric else float(state.scene(task).to_aligned_size())
    pairs = _depths(task, state, crops, size)
    if not pairs:
        state.warnings.append("The depth maps say nothing about the person and were not used.")
    elif metric:
        ratio = float(np.median(np.concatenate([depth * inverse for depth, inverse in pairs])))
        state.metric = 1 / UNLIKELY < ratio < UNLIKELY
        if not state.metric:
            state.warnings.append(
                f"The depth maps put the person {ratio:.2g} times as far away as the pictures do, and "
                "were not used; they must be in metres."
            )
    else:
        state.slope = fit_slope(pairs)
        if state.slope is None:
            state.warnings.append("The depth maps contradict the silhouettes and were not used.")


def _depths(task: Task, state: State, crops: Crops, size: float) -> list[tuple[Array, Array]]:
    """The maps' values and the rendered 1/z at the same pixels of the person, frame by frame; camera space
    made `size` times as large."""
    scene, frames = state.scene(task), crops.frames.tolist()
    pairs = []
    for t in frames[:: math.ceil(len(frames) / MOST_FRAMES)]:
        crop = crops[t]
        drawn = scene.draw(state.trajectory(torch.tensor([t])).transforms, together([crop]))
        assert crop.depth is not None and crop.trusted is not None
        inside = crop.trusted & (drawn.alpha[0] > SOLID)
        if inside.sum() >= MIN_PIXELS:
            inverse = 1 / (size * drawn.depth[0][inside]).clamp_min(0.1)
            pairs.append((crop.depth[inside].double().cpu().numpy(), inverse.double().cpu().numpy()))
    return pairs
