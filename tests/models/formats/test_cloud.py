import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.formats import Splats


def test_turning_moves_centres_and_axes_alike(splats: Splats) -> None:
    turn = Rotation.from_rotvec([0.3, -1.0, 0.5])
    turned = splats.turned(turn, [1, 2, 3])
    assert turned.means == pytest.approx(turn.apply(splats.means) + np.array([1, 2, 3]), abs=1e-5)
    for before, after in zip(splats.rotations[:5], turned.rotations[:5], strict=True):
        axes = (Rotation.from_quat(one, scalar_first=True).as_matrix() for one in (before, after))
        assert turn.as_matrix() @ next(axes) == pytest.approx(next(axes), abs=1e-5)
    assert turned.scales is splats.scales
    assert turned.means.dtype == turned.rotations.dtype == np.float32
