from dataclasses import replace

import torch

from models.avatar import Avatar
from models.avatar.completion import completed


def two_colored(avatar: Avatar) -> torch.Tensor:
    upper = avatar.means[:, 1] > 0
    return torch.where(upper[:, None], torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 1.0]))


def test_unseen_gaussians_take_their_neighbours_colours(avatar: Avatar) -> None:
    colors = two_colored(avatar)
    unseen = torch.arange(len(avatar)) % 3 == 0
    partly = replace(
        avatar,
        colors=torch.where(unseen[:, None], torch.full_like(colors, 0.5), colors),
        coverage=(~unseen).float(),
    )
    filled = completed(partly)
    assert (filled.colors - colors)[~unseen].abs().max() < 0.01
    assert (filled.colors - colors)[unseen].abs().mean() < 0.05
    assert torch.equal(filled.coverage, partly.coverage)


def test_noise_of_hardly_seen_gaussians_gives_way(avatar: Avatar) -> None:
    colors = two_colored(avatar)
    doubtful = torch.arange(len(avatar)) % 3 == 0
    noise = torch.rand(colors.shape, generator=torch.Generator().manual_seed(0))
    noisy = replace(
        avatar,
        colors=torch.where(doubtful[:, None], noise, colors),
        coverage=torch.where(doubtful, 0.1, 1.0),
    )
    assert (completed(noisy).colors - colors)[doubtful].abs().mean() < 0.06


def test_an_unseen_side_takes_after_the_other_side(avatar: Avatar) -> None:
    left = avatar.means[:, 0] > 0.02
    right = avatar.means[:, 0] < -0.02
    red, grey = torch.tensor([1.0, 0, 0]), torch.tensor([0.5, 0.5, 0.5])
    stripe = (avatar.means[:, 1] > 0.2) & (avatar.means[:, 1] < 0.4)
    green = torch.tensor([0.0, 1, 0])
    truth = torch.where(stripe[:, None], green, red)
    half = replace(
        avatar, colors=torch.where(right[:, None], grey, truth), coverage=torch.where(right, 0.0, 1.0)
    )
    filled = completed(half)
    assert (filled.colors - truth)[right].abs().mean() < 0.15
    assert (filled.colors - truth)[left].abs().max() < 0.01


def test_what_is_seen_everywhere_stays(avatar: Avatar) -> None:
    seen = replace(avatar, coverage=torch.ones(len(avatar)))
    assert (completed(seen).colors - avatar.colors).abs().max() < 0.01


def test_nothing_to_go_by(avatar: Avatar) -> None:
    nothing = replace(avatar, coverage=torch.zeros(len(avatar)))
    assert completed(nothing) is nothing
