"""The choice of an alternative in every frame."""

import itertools

import torch

from models.sequence import _cheapest_path, steady_path


def crossing(frames: int = 24) -> torch.Tensor:
    """(T,2,2,3) two points that swing past each other: as they are, and exchanged."""
    swing = torch.cos(torch.linspace(0.3, 5, frames))[:, None] * torch.tensor([0.5, 0.1, 0.3])
    points = torch.stack((swing, -swing), 1)
    return torch.stack((points, points.flip(1)), 1)


def exchanged(points: torch.Tensor, *frames: int) -> torch.Tensor:
    points = points.clone()
    points[list(frames)] = points[list(frames)].flip(1)
    return points


def test_smooth_motion_is_left_alone() -> None:
    assert not steady_path(crossing(), 1e-4, 0.1).any()


def test_exchanged_frames_are_found_singly_in_runs_and_at_the_ends() -> None:
    for frames in ([5], list(range(9, 18)), [0, 1, 2], [21, 22, 23]):
        chosen = steady_path(exchanged(crossing(), *frames), 1e-4, 0.1)
        assert chosen.nonzero()[:, 0].tolist() == frames


def test_short_sequences() -> None:
    for frames in (1, 2, 3):
        assert steady_path(crossing()[:frames], 1e-4, 0.1).tolist() == [0] * frames


def test_the_cheapest_of_all_paths_is_found() -> None:
    random = torch.Generator().manual_seed(1)
    costs = torch.rand(5, 3, generator=random)
    points = torch.rand(5, 3, 2, 3, generator=random)
    change = torch.rand(3, 3, generator=random)

    def cost(path: tuple[int, ...]) -> float:
        way = points[torch.arange(5), list(path)]
        second = way[2:] - 2 * way[1:-1] + way[:-2]
        turns = (second.square().sum(-1) + 1e-4).sqrt().mean(-1)
        changes = change[list(path[:-1]), list(path[1:])].sum()
        return float(changes + costs[torch.arange(5), list(path)].sum() + turns.sum())

    best = min(itertools.product(range(3), repeat=5), key=cost)
    assert tuple(_cheapest_path(costs, change, points, 1e-4).tolist()) == best
