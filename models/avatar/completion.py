"""Plausible colours for what hardly any frame has shown."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree

from models.avatar.avatar import Avatar

HARDLY = 0.1  # of the frames; colours from fewer come mostly through gaps between other Gaussians
NEIGHBOURS = 8
MIRRORED = 3  # neighbours on the other side of the body
MIRROR_WEIGHT = 0.1  # of a mirrored neighbour against a near one
WELL_SEEN = 90  # percentile of the coverage
DOUBTED = 0.25  # of the coverage of the well seen: there a colour counts as much as one neighbour's
STEEPNESS = 6
CERTAINTY = 1e-6  # of a colour never seen, so that islands keep theirs


def hardly_seen(avatar: Avatar) -> float:
    """The share of the Gaussians that at most a tenth of the frames showed."""
    return float((avatar.coverage <= HARDLY).float().mean())


def completed(avatar: Avatar) -> Avatar:
    """The avatar, on the CPU, its colours as learned where they were seen well, their neighbours' elsewhere.

    A Gaussian that was never drawn keeps its first grey; one that was only ever drawn at the outline or
    behind others has learned noise. The colours c that minimise

        sum_i d_i (c_i - learned_i)^2 + sum_ij w_ij (c_i - c_j)^2

    let the certainty d, a steep function of the coverage, decide between the two. Neighbours are the nearest
    in the rest pose, on the same garment more often than not, and, weakly, those at the mirrored place.
    """
    coverage = avatar.coverage.numpy().astype(np.float64)
    often = np.percentile(coverage, WELL_SEEN)
    if len(avatar) <= NEIGHBOURS or often == 0:
        return avatar
    certainty = (coverage / (DOUBTED * often)) ** STEEPNESS + CERTAINTY
    graph = _neighbourhood(avatar.means.numpy().astype(np.float64))
    system = diags(np.asarray(graph.sum(1)).ravel() + certainty) - graph
    learned = avatar.colors.numpy().astype(np.float64)
    colors = [
        cg(system, certainty * channel, x0=channel, rtol=1e-5, maxiter=2000)[0] for channel in learned.T
    ]
    clipped = np.stack(colors, axis=1).clip(0, 1).astype(np.float32)
    return replace(avatar, colors=torch.from_numpy(clipped))


def _neighbourhood(places: NDArray[np.float64]) -> csr_matrix:
    """Symmetric weights (N,N) between points (N,3) of a body that is symmetric about x = 0."""
    tree = cKDTree(places)
    distance, index = (found[:, 1:] for found in tree.query(places, NEIGHBOURS + 1))
    spacing = max(float(np.median(distance)), 1e-6)
    nearness = spacing / np.maximum(distance, 0.1 * spacing)
    across, mirrored = tree.query(places * [-1, 1, 1], MIRRORED)
    likeness = MIRROR_WEIGHT * spacing / np.maximum(across, spacing)
    weights = _matrix(nearness, index) + _matrix(likeness, mirrored)
    return (weights + weights.T) / 2


def _matrix(weights: NDArray[np.float64], columns: NDArray[np.intp]) -> csr_matrix:
    rows = np.repeat(np.arange(len(weights)), weights.shape[1])
    return csr_matrix((weights.ravel(), (rows, columns.ravel())), (len(weights), len(weights)))
