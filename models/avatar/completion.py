"""Plausible colours for what no frame has shown."""

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial import cKDTree

from models.avatar.avatar import Avatar

NEIGHBOURS = 8
HARDLY = 0.05  # of the frames


def completed(avatar: Avatar) -> Avatar:
    """The avatar, on the CPU, with what hardly any frame has shown in the colours of seen Gaussians near by.

    A Gaussian that was never drawn keeps its first grey, one that was hardly ever drawn has learned noise.
    The nearest seen ones in the rest pose are on the same garment more often than not; inverse distances
    weigh them. Coverage still tells the guesses apart.
    """
    seen = avatar.coverage > HARDLY
    if seen.all() or int(seen.sum()) < NEIGHBOURS:
        return avatar
    places = avatar.means.numpy()
    distance, index = cKDTree(places[seen]).query(places[~seen], NEIGHBOURS)
    nearness = 1 / np.maximum(distance, 1e-3)
    weights = torch.from_numpy((nearness / nearness.sum(1, keepdims=True)).astype(np.float32))
    colors = avatar.colors.clone()
    colors[~seen] = (avatar.colors[seen][torch.from_numpy(index)] * weights[..., None]).sum(1)
    return replace(avatar, colors=colors)
