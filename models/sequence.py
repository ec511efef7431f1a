"""Choosing one of a few alternatives in every frame of a sequence, so that it moves most smoothly."""

import torch
from torch import Tensor


def steady_path(points: Tensor, floor: float, reluctance: float, change: float = 0.0) -> Tensor:
    """Which alternative of T frames makes the motion smoothest; the first one, unless others do by far.

    Args:
        points: (T,H,N,3) of H alternatives each.
        floor: squared acceleration, in units of the points a frame squared, below which it is jitter.
        reluctance, change: costs of a frame that is not taken as it is, and of every change from one frame
            to the next, in the clip's usual acceleration. A run that is really exchanged costs several times
            that at its ends.

    Returns:
        (T,) the alternative of every frame.
    """
    # Standing still before and after, or the first and the last frame would be free to change.
    points = torch.cat((points[:1], points, points[-1:]))
    usual = _accelerations(points[:-2, 0], points[1:-1, 0], points[2:, 0], floor).median()
    costs = points.new_zeros(points.shape[:2])
    costs[:, 1:] = reluctance * usual
    changes = change * usual * (1 - torch.eye(points.shape[1]).to(points))
    return _cheapest_path(costs, changes, points, floor)[1:-1]


def _accelerations(before: Tensor, here: Tensor, after: Tensor, floor: float) -> Tensor:
    """Mean over points (...,N,3) of sqrt(a^2 + floor), a the second differences."""
    return ((after - 2 * here + before).square().sum(-1) + floor).sqrt().mean(-1)


def _cheapest_path(costs: Tensor, change: Tensor, points: Tensor, floor: float) -> Tensor:
    """(T,) the path of least costs (T,H), costs of change (H,H) from one frame to the next, and accelerations
    of points (T,H,N,3); T >= 3 (A. Viterbi 1967, on pairs of frames)."""
    count, kinds = costs.shape
    total = (
        costs[0][:, None] + costs[1] + change
    )  # of the best path that ends in kinds (i, j) at the last two frames
    origin = []
    for t in range(2, count):
        before, last = points[t - 2][:, None, None], points[t - 1][None, :, None]
        best = (total[..., None] + _accelerations(before, last, points[t], floor)).min(0)
        origin.append(best.indices)
        total = best.values + costs[t] + change
    path = list(divmod(int(total.argmin()), kinds))
    for back in reversed(origin):
        path.insert(0, int(back[path[0], path[1]]))
    return torch.tensor(path)
