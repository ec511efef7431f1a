"""Estimates into motions: on either body, at a known height, in the same place of the picture."""

import numpy as np
import pytest
import torch

from models.body import BodyModel, load_embedded_body
from models.body.transfer import SMPL_PELVIS, SMPL_STATURE, stature
from models.hmr import standing_height
from models.hmr.hmr2.estimation import Estimates
from models.hmr.hmr2.motion import recover
from tests.models.body.made_up_smpl import smpl_body

COUNT, FPS = 12, 15.0


def estimates() -> Estimates:
    """Somebody who walks to the right, their shape uncertain, gone in the last frame."""
    rotations = np.tile(np.diag([1.0, -1, -1]), (COUNT, 24, 1, 1))
    rotations[:, 1:] = np.eye(3)
    origins = np.stack([np.linspace(0, 0.5, COUNT), np.full(COUNT, 0.3), np.full(COUNT, 4.0)], -1)
    betas = np.random.default_rng(0).normal(0, 0.1, (COUNT, 10)) + np.linspace(0.8, -0.2, 10)
    betas[3] = 9  # an outlier
    return Estimates(rotations, origins, betas, np.arange(COUNT) < COUNT - 1)


@pytest.fixture(scope="module")
def embedded() -> BodyModel:
    return load_embedded_body()


@pytest.fixture(scope="module")
def smpl() -> BodyModel:
    return smpl_body()


def test_smpl_takes_the_clip_s_shape_and_stands_at_the_estimated_place(smpl: BodyModel) -> None:
    motion = recover(estimates(), FPS, smpl)
    np.testing.assert_allclose(motion.betas, np.linspace(0.8, -0.2, 10), atol=0.15)
    np.testing.assert_allclose(motion.trans[:-1], estimates().origins[:-1], atol=0.01)
    assert motion.replaced == 0


def test_the_embedded_body_takes_an_average_shape_at_the_same_pelvis(embedded: BodyModel) -> None:
    motion = recover(estimates(), FPS, embedded)
    assert float(stature(embedded.joint_template)) != pytest.approx(SMPL_STATURE, abs=0.02)
    assert float(stature(torch.from_numpy(motion.joints)).mean()) == pytest.approx(SMPL_STATURE, abs=0.002)
    np.testing.assert_allclose(motion.joints[:-1, 0], estimates().origins[:-1] + SMPL_PELVIS, atol=0.01)
    assert np.abs(motion.betas).max() < 1


@pytest.mark.parametrize("which", ["embedded", "smpl"])
def test_a_known_height_moves_the_person_along_their_rays(which: str, request: pytest.FixtureRequest) -> None:
    body: BodyModel = request.getfixturevalue(which)
    free = recover(estimates(), FPS, body)
    tall = recover(estimates(), FPS, body, height=1.1 * free.height)
    assert tall.height == pytest.approx(1.1 * free.height, rel=1e-3)
    assert float(standing_height(body, torch.from_numpy(tall.betas).float())) == pytest.approx(tall.height)
    np.testing.assert_allclose(tall.joints[:, 0], 1.1 * free.joints[:, 0], rtol=1e-3)
    pixels = [motion.joints[..., :2] / motion.joints[..., 2:] for motion in (free, tall)]
    assert np.abs(pixels[0] - pixels[1]).max() < 0.03
