"""The avatar's colours for a mesh: what of the Gaussians is seen at its vertices."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.avatar.avatar import Avatar

_NEIGHBOURS = 8
_SPREAD = 3  # the neighbour that is one standard deviation farther


def vertex_colors(avatar: Avatar, vertices: NDArray[np.floating]) -> NDArray[np.float32]:
    """Colours (V, 3) in [0, 1] for points (V, 3) of the rest pose, metres.

    Each is the mean of the nearest Gaussians, weighted by opacity and nearness. Clothes and hair lie off the
    body, so nearness is counted along their surface: by how much farther than the nearest one a Gaussian is,
    in units of how densely they lie.
    """
    opacities = avatar.opacity_logits.sigmoid().numpy()
    tree = cKDTree(avatar.means.numpy())
    distances, nearest = tree.query(vertices, min(_NEIGHBOURS, len(avatar)))
    distances, nearest = distances.reshape(len(vertices), -1), nearest.reshape(len(vertices), -1)
    farther = distances**2 - distances[:, :1] ** 2
    spread = np.maximum(farther[:, [min(_SPREAD, farther.shape[1]) - 1]], 1e-12)
    weights = np.exp(-farther / (2 * spread)) * np.maximum(opacities[nearest], 1e-3)
    blended = (weights[..., None] * avatar.colors.numpy()[nearest]).sum(axis=1)
    return np.clip(blended / weights.sum(axis=1, keepdims=True), 0, 1).astype(np.float32)
