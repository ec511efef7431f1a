from dataclasses import replace

import torch

from models.avatar import Avatar
from models.avatar.completion import completed


def test_unseen_gaussians_take_their_neighbours_colours(avatar: Avatar) -> None:
    upper = avatar.means[:, 1] > 0
    colors = torch.where(upper[:, None], torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 1.0]))
    unseen = torch.arange(len(avatar)) % 3 == 0
    partly = replace(
        avatar,
        colors=torch.where(unseen[:, None], torch.full_like(colors, 0.5), colors),
        coverage=(~unseen).float(),
    )
    filled = completed(partly)
    assert torch.equal(filled.colors[~unseen], colors[~unseen])
    assert (filled.colors - colors)[unseen].abs().mean() < 0.05
    assert torch.equal(filled.coverage, partly.coverage)


def test_nothing_to_do_and_nothing_to_go_by(avatar: Avatar) -> None:
    assert completed(avatar) is avatar
    nothing = replace(avatar, coverage=torch.zeros(len(avatar)))
    assert completed(nothing) is nothing
