"""Between the bodies: what carries over, and what stands for what does not."""

import numpy as np
import pytest
import torch

from models.body import load_embedded_body
from models.body.transfer import LARGEST_SHAPE, SMPL_PELVIS, shape_of_stature, stature, usual_stature
from tests.models.body.made_up_smpl import arrays, joints, smpl_body, write_pickle


def test_stature_does_not_depend_on_the_pose() -> None:
    body = load_embedded_body()
    poses = torch.zeros(5, 72)
    poses[:, :3] = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    poses[:, [3, 6, 12, 15, 48, 51]] = torch.rand(5, 6)
    posed = body.articulate(poses, torch.zeros(5, 3), torch.zeros(10))[1]
    torch.testing.assert_close(stature(posed), stature(body.joint_template).expand(5), atol=1e-5, rtol=0)
    assert usual_stature(posed.numpy()) == pytest.approx(float(stature(body.joint_template)), abs=1e-5)


@pytest.mark.parametrize("metres", [1.3, 1.38, 1.45])
def test_the_shape_of_a_stature(metres: float) -> None:
    for body in (load_embedded_body(), smpl_body()):
        betas = shape_of_stature(body, metres)
        assert float(stature(body.shaped_joints(betas))) == pytest.approx(metres, abs=1e-3)


def test_an_impossible_stature_gives_the_largest_shape() -> None:
    assert float(shape_of_stature(load_embedded_body(), 40.0).norm()) == pytest.approx(LARGEST_SHAPE)


def test_the_made_up_body_is_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    from models.body import load_body

    body = load_body(write_pickle(tmp_path_factory.mktemp("smpl") / "SMPL_NEUTRAL.pkl"))
    np.testing.assert_allclose(body.joint_template, joints(), atol=1e-5)
    np.testing.assert_allclose(body.joint_template[0], SMPL_PELVIS, atol=1e-5)
    np.testing.assert_allclose(body.v_template, arrays()["v_template"], atol=1e-6)
    # Faces look outwards.
    corners = body.v_template[body.faces].double()
    volume = torch.linalg.det(corners).sum() / 6
    assert 0.02 < float(volume) < 0.2
