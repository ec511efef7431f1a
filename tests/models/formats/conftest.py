"""Gaussians of every size and colour, and a body that moves."""

import numpy as np
import pytest

from models.body import load_embedded_body
from models.formats import SkinnedMesh, Splats


@pytest.fixture
def splats() -> Splats:
    rng = np.random.default_rng(0)
    return Splats(
        means=rng.normal(size=(50, 3)).astype(np.float32),
        rotations=rng.normal(size=(50, 4)).astype(np.float32),
        scales=np.exp(rng.normal(-5, 1, (50, 3))).astype(np.float32),
        colors=rng.random((50, 3)).astype(np.float32),
        opacities=rng.uniform(0.05, 0.95, 50).astype(np.float32),
    )


@pytest.fixture(scope="session")
def mesh() -> SkinnedMesh:
    """The mean body, red where it is high and blue where it is low."""
    body = load_embedded_body()
    vertices = body.v_template.numpy()
    height = (vertices[:, 1] - vertices[:, 1].min()) / np.ptp(vertices[:, 1])
    return SkinnedMesh(
        vertices=vertices,
        faces=body.faces.numpy(),
        colors=np.stack([height, 0 * height + 0.5, 1 - height], axis=1).astype(np.float32),
        weights=body.weights.numpy(),
        joints=body.joint_template.numpy(),
        parents=body.parents,
        names=body.joint_names,
    )
