from dataclasses import replace

import pytest
import torch

from models.avatar import Avatar
from models.avatar.completion import completed
from models.avatar.surface import HEAD_JOINT
from models.body import BodyModel
from tests.models.avatar.scenes import true_avatar


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


@pytest.fixture(scope="module")
def dense(body: BodyModel) -> Avatar:
    return true_avatar(body, 8000)


def seen_only(avatar: Avatar, seen: torch.Tensor, colors: torch.Tensor) -> Avatar:
    """The avatar in these colours where it was seen, grey elsewhere."""
    grey = torch.full_like(colors, 0.5)
    return replace(avatar, colors=torch.where(seen[:, None], colors, grey), coverage=seen.float())


def test_a_garment_ends_as_high_behind_as_in_front(dense: Avatar) -> None:
    trunk, (_, height, depth) = dense.weights[:, [0, 3, 6, 9]].sum(1) > 0.8, dense.means.T
    hem, front = height[trunk].median(), depth[trunk].quantile(0.75)
    shirt, trousers = torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 1.0])
    truth = torch.where((height > hem)[:, None], shirt, trousers)
    filled = completed(seen_only(dense, ~trunk | (depth > front), truth))
    back = trunk & (depth < depth[trunk].median()) & ((height - hem).abs() > 0.05)
    assert (filled.colors - truth)[back].abs().mean() < 0.06


def test_the_back_of_the_head_takes_the_hair_not_the_face(dense: Avatar) -> None:
    head = dense.weights[:, HEAD_JOINT] > 0.5
    up, forward = (dense.means - (dense.means[head].amin(0) + dense.means[head].amax(0)) / 2)[:, 1:].T
    behind, hair = head & (forward < 0), head & (forward < 0.6 * up)
    truth = torch.where(hair[:, None], torch.zeros(3), torch.tensor([0.9, 0.7, 0.6]))
    filled = completed(seen_only(dense, ~behind, truth))
    assert filled.colors[behind & (up > 0)].mean() < 0.2


def test_what_is_seen_everywhere_stays(avatar: Avatar) -> None:
    seen = replace(avatar, coverage=torch.ones(len(avatar)))
    assert (completed(seen).colors - avatar.colors).abs().max() < 0.01


def test_nothing_to_go_by(avatar: Avatar) -> None:
    nothing = replace(avatar, coverage=torch.zeros(len(avatar)))
    assert completed(nothing) is nothing
