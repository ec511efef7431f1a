"""Choosing one of a few alternatives in every frame, so that the sequence costs least and moves most smoothly."""

import torch
from torch import Tensor


def smoothest_path(costs: Tensor, points: Tensor, weight: float, floor: float) -> Tensor:
    """The cheapest path through T frames of H alternatives each (A. Viterbi 1967, on pairs of frames).

    Args:
        costs: (T,H) of taking an alternative; infinite ones are never taken.
        points: (T,H,N,3) that belong to it, whose accelerations cost weight * mean sqrt(a^2 + floor).
        weight, floor: see above; a in units of the points a frame squared.

    Returns:
        (T,) the alternative of every frame.
    """
    count, kinds = costs.shape
    if count < 3:
        return costs.argmin(1)
    total = costs[0][:, None] + costs[1]  # of the best path that ends in kinds (i, j) at the last two frames
    origin = []
    for t in range(2, count):
        before, last = points[t - 2][:, None, None], points[t - 1][None, :, None]
        second = points[t] - 2 * last + before  # (i, j, k, N, 3)
        turned = weight * (second.square().sum(-1) + floor).sqrt().mean(-1)
        best = (total[..., None] + turned).min(0)
        origin.append(best.indices)
        total = best.values + costs[t]
    path = list(divmod(int(total.argmin()), kinds))
    for back in reversed(origin):
        path.insert(0, int(back[path[0], path[1]]))
    return torch.tensor(path)
