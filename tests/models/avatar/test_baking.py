from dataclasses import replace

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.avatar.baking import vertex_colors
from models.body import load_embedded_body
from tests.stages.export.conftest import COLORS, avatar, body  # noqa: F401


def test_vertices_take_the_colours_around_them(avatar: Avatar) -> None:  # noqa: F811
    vertices = load_embedded_body().v_template.numpy()
    colors = vertex_colors(avatar, vertices)
    height = vertices[:, 1] - float(avatar.rest_joints[0, 1])
    assert colors[height > 0.1] == pytest.approx(np.tile(COLORS[0], ((height > 0.1).sum(), 1)), abs=1e-5)
    assert colors[height < -0.1] == pytest.approx(np.tile(COLORS[1], ((height < -0.1).sum(), 1)), abs=1e-5)
    assert colors.min() >= 0 and colors.max() <= 1


def test_what_is_hardly_there_hardly_counts(avatar: Avatar) -> None:  # noqa: F811
    ghosts = torch.arange(len(avatar)) % 2 == 0
    haunted = replace(
        avatar,
        colors=torch.where(ghosts[:, None], torch.tensor([0.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0])),
        opacity_logits=torch.where(ghosts, -6.0, 6.0),
    )
    colors = vertex_colors(haunted, avatar.means.numpy())
    assert np.median(colors[:, 0]) > 0.95


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_gaussians_and_far_away(avatar: Avatar, count: int) -> None:  # noqa: F811
    few = replace(
        avatar,
        means=avatar.means[:count],
        colors=torch.full((count, 3), 0.25),
        opacity_logits=avatar.opacity_logits[:count],
    )
    colors = vertex_colors(few, np.array([[0, 0, 0], [50.0, 50, 50]]))
    assert colors == pytest.approx(0.25)
