"""The avatar's colours for a mesh: what of the Gaussians is seen at its vertices."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.avatar.avatar import Avatar

_NEIGHBOURS = 8
_SPREAD = 3  # the neighbour whose distance is the blend's standard deviation


def vertex_colors(avatar: Avatar, vertices: NDArray[np.floating]) -> NDArray[np.float32]:
    """Colours (V, 3) in [0, 1] for points (V, 3) of the rest pose, metres.

    Each is the mean of the nearest Gaussians, weighted by their opacity and a normal distribution of the
    distance, as wide as they lie densely. What no Gaussian is near takes the nearest ones' colour.
    """
    opacities = avatar.opacity_logits.sigmoid().numpy()
    tree = cKDTree(avatar.means.numpy())
    distances, nearest = tree.query(vertices, min(_NEIGHBOURS, len(avatar)))
    distances, nearest = distances.reshape(len(vertices), -1), nearest.reshape(len(vertices), -1)
    spread = np.maximum(distances[:, [min(_SPREAD, distances.shape[1]) - 1]], 1e-6)
    # Relative to the nearest, which keeps the sum above zero however far all of them are.
    closeness = np.exp((distances[:, :1] ** 2 - distances**2) / (2 * spread**2))
    weights = closeness * np.maximum(opacities[nearest], 1e-3)
    blended = (weights[..., None] * avatar.colors.numpy()[nearest]).sum(axis=1)
    return np.clip(blended / weights.sum(axis=1, keepdims=True), 0, 1).astype(np.float32)
