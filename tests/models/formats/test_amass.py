"""AMASS: what is written has the person where the motion has them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.body import BodyModel, load_embedded_body
from models.formats import write_amass
from models.formats.amass import REST_PELVIS
from tests.models.formats.motions import T, joints_of, some_motion


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_embedded_body()


@pytest.mark.parametrize(("model", "width"), [("smplh", 156), ("smplx", 165)])
def test_a_reader_finds_the_body_where_it_was(
    tmp_path: Path, body: BodyModel, model: str, width: int
) -> None:
    motion = some_motion(body)
    write_amass(tmp_path / "a.npz", motion, model)
    with np.load(tmp_path / "a.npz") as data:
        assert data["poses"].shape == (T, width) and not data["poses"][:, 66:].any()
        assert str(data["gender"]) == "neutral" and float(data["mocap_framerate"]) == motion.fps
        assert data["betas"].shape == (16,) and not data["betas"].any()
        poses, trans = (
            torch.from_numpy(data["poses"][:, :72]).float(),
            torch.from_numpy(data["trans"]).float(),
        )
    # The reader's mean body has its pelvis elsewhere; its other joints matter not to where ours are.
    shift = torch.tensor(REST_PELVIS[model]) - body.shaped_joints(torch.from_numpy(motion.betas))[0]
    joints = body.articulate(poses, trans + shift, torch.from_numpy(motion.betas))[1].numpy()
    x, y, z = np.moveaxis(joints_of(motion, body), -1, 0)
    expected = np.stack([x, z, -y], -1)
    np.testing.assert_allclose(joints[:, :22], expected[:, :22], atol=2e-6)


def test_the_pelvis_is_found_without_joints_too(tmp_path: Path, body: BodyModel) -> None:
    motion = some_motion(body)
    write_amass(tmp_path / "a.npz", motion)
    write_amass(tmp_path / "b.npz", replace(motion, joints=None))
    with np.load(tmp_path / "a.npz") as first, np.load(tmp_path / "b.npz") as second:
        np.testing.assert_allclose(first["trans"], second["trans"], atol=1e-6)


def test_the_shape_goes_only_where_it_means_the_same(tmp_path: Path, body: BodyModel) -> None:
    motion = replace(some_motion(body), body="smpl")
    write_amass(tmp_path / "h.npz", motion, "smplh")
    write_amass(tmp_path / "x.npz", motion, "smplx")
    with np.load(tmp_path / "h.npz") as data:
        assert np.array_equal(data["betas"][:10], motion.betas) and not data["betas"][10:].any()
    with np.load(tmp_path / "x.npz") as data:
        assert not data["betas"].any()
