"""Plausible colours for what hardly any frame has shown."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree

from models.avatar.avatar import Avatar
from models.avatar.surface import HEAD_JOINT

HARDLY = 0.1  # of the frames; colours from fewer come mostly through gaps between other Gaussians
NEIGHBOURS = 8
COUNTERPARTS = 3  # nearest to the mirrored, and to the opposite, place
THROUGH = 16  # nearest in the frontal plane, some in front and some behind
COUNTERPART_WEIGHT = 0.1  # of a counterpart against a near neighbour
WELL_SEEN = 90  # percentile of the coverage
DOUBTED = 0.25  # of the coverage of the well seen: there a colour counts as much as one neighbour's
STEEPNESS = 6
CERTAINTY = 1e-6  # of a colour never seen, so that islands keep theirs
HAIR = 0.25  # angle from the crown forwards to the hairline, against that backwards to the nape

Places = NDArray[np.float64]


def hardly_seen(avatar: Avatar) -> float:
    """The share of the Gaussians that at most a tenth of the frames showed."""
    return float((avatar.coverage <= HARDLY).float().mean())


def completed(avatar: Avatar) -> Avatar:
    """The avatar, on the CPU, its colours as learned where they were seen well, their neighbours' elsewhere.

    A Gaussian that was never drawn keeps its first grey; one that was only ever drawn at the outline or
    behind others has learned noise. The colours c that minimise

        sum_i d_i (c_i - learned_i)^2 + sum_ij w_ij (c_i - c_j)^2

    let the certainty d, a steep function of the coverage, decide between the two. Neighbours are the nearest
    in the rest pose, on the same garment more often than not, and, weakly, those at the mirrored place and
    those through the body: garments mostly end at one height in front and behind.
    """
    coverage = avatar.coverage.numpy().astype(np.float64)
    often = np.percentile(coverage, WELL_SEEN)
    if len(avatar) <= THROUGH or often == 0:
        return avatar
    certainty = (coverage / (DOUBTED * often)) ** STEEPNESS + CERTAINTY
    graph = _neighbourhood(avatar)
    laplacian = diags(np.asarray(graph.sum(1)).ravel()) - graph
    system = laplacian + diags(certainty)
    jacobi = diags(1 / system.diagonal())
    learned = avatar.colors.numpy().astype(np.float64)
    # Solved for the change: the certainties' range of many decades would hide the error of the uncertain.
    changes = [
        cg(system, -laplacian @ channel, rtol=1e-4, maxiter=2000, M=jacobi)[0] for channel in learned.T
    ]
    colors = (learned + np.stack(changes, axis=1)).clip(0, 1).astype(np.float32)
    return replace(avatar, colors=torch.from_numpy(colors))


def _neighbourhood(avatar: Avatar) -> csr_matrix:
    """Symmetric weights (N,N) between the Gaussians of a body that is symmetric about x = 0."""
    places = avatar.means.numpy().astype(np.float64)
    tree = cKDTree(places)
    distance, index = (found[:, 1:] for found in tree.query(places, NEIGHBOURS + 1))
    spacing = max(float(np.median(distance)), 1e-6)
    weights = _matrix(spacing / np.maximum(distance, 0.1 * spacing), index)
    for counterparts in (places * [-1, 1, 1], _opposite(avatar, places)):
        across, index = tree.query(counterparts, COUNTERPARTS)
        weights += _matrix(COUNTERPART_WEIGHT * spacing / np.maximum(across, spacing), index)
    return (weights + weights.T) / 2


def _opposite(avatar: Avatar, places: Places) -> Places:
    """Where (N,3) in front of the body what lies behind looks alike, and the other way round.

    In the rest pose only the feet point forwards: it is the place mirrored at the middle of the body's depth
    there. Behind the face is hair, which in front begins above it: on the head, a place behind the crown is
    turned to in front of it, up to where the hairline is, and one in front is its own.
    """
    opposite = places.copy()
    depths = places[cKDTree(places[:, :2]).query(places[:, :2], THROUGH)[1], 2]
    opposite[:, 2] = depths.min(1) + depths.max(1) - places[:, 2]
    head = avatar.weights[:, HEAD_JOINT].numpy() > 0.5
    if head.any():
        center = (places[head].min(0) + places[head].max(0)) / 2
        up, forward = (places[head] - center)[:, 1:].T
        angle, radius = np.arctan2(forward, up), np.hypot(forward, up)
        angle = np.where(angle < 0, -HAIR * angle, angle)
        turned = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1)
        opposite[head, 0], opposite[head, 1:] = places[head, 0], center[1:] + turned
    return opposite


def _matrix(weights: Places, columns: NDArray[np.intp]) -> csr_matrix:
    rows = np.repeat(np.arange(len(weights)), weights.shape[1])
    return csr_matrix((weights.ravel(), (rows, columns.ravel())), (len(weights), len(weights)))
