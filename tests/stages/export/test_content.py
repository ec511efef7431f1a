"""The Gaussians that are exported, against the avatar as the renderer sees it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from models.avatar import Avatar
from models.body import BodyModel, Motion, retarget
from models.errors import InputError, StageError
from stages.export.content import Content, posed
from stages.export.formats import FORMATS
from tests.models.body import made_up_smpl
from tests.models.formats.glbs import ReadGlb
from tests.stages.export.conftest import Inputs

HALF_TURN = np.diag([1.0, -1.0, -1.0])


@pytest.fixture
def bent(motion: Motion, body: BodyModel) -> Motion:
    """Elbows and knees bent far, which shears what blends two bones."""
    poses = motion.poses.copy().reshape(len(motion), 24, 3)
    poses[:, [18, 19]] += [0, 1.8, 0]
    poses[:, [4, 5]] += [1.5, 0, 0]
    return retarget(replace(motion, poses=poses.reshape(len(motion), 72)), body)


@pytest.fixture
def stretched(avatar: Avatar) -> Avatar:
    """Gaussians of three different sizes, turned anyhow."""
    rng = np.random.default_rng(1)
    quaternions = torch.from_numpy(rng.normal(size=(len(avatar), 4)).astype(np.float32))
    sizes = torch.log(torch.tensor([0.03, 0.02, 0.005])).expand(len(avatar), 3)
    return replace(avatar, quaternions=quaternions, log_scales=sizes.clone())


def test_a_frame_in_camera_space_is_what_the_renderer_draws(stretched: Avatar, bent: Motion) -> None:
    frame = 3
    found = posed(stretched, bent, frame, "-y")
    expected = stretched.pose(bent.poses[frame], stretched.trans_for(bent)[frame])
    assert found.means == pytest.approx(expected.means.numpy(), abs=1e-5)
    axes = Rotation.from_quat(found.rotations, scalar_first=True).as_matrix()
    covariances = np.einsum("nij,nj,nkj->nik", axes, found.scales.astype(float) ** 2, axes)
    assert covariances == pytest.approx(expected.covariances.numpy(), abs=2e-7)
    assert np.linalg.norm(found.rotations, axis=1) == pytest.approx(1, abs=1e-5)


def test_a_frame_stands_upright_before_its_camera(avatar: Avatar, motion: Motion) -> None:
    upright, camera = posed(avatar, motion, 2, "y"), posed(avatar, motion, 2, "-y")
    assert upright.means == pytest.approx(camera.means @ HALF_TURN, abs=1e-5)
    assert upright.means[:, 2].max() < 0
    head = upright.means[avatar.means[:, 1].argmax()]
    foot = upright.means[avatar.means[:, 1].argmin()]
    assert head[1] - foot[1] > 1.5


def test_reading_a_finished_clip(inputs: Inputs, avatar: Avatar, body: BodyModel) -> None:
    content = Content.load(inputs)
    assert content.times == pytest.approx(np.arange(8) / 10)
    mesh = content.mesh()
    assert mesh.vertices == pytest.approx(body.v_template.numpy())
    assert mesh.joints == pytest.approx(avatar.rest_joints.numpy())
    assert content.splats(None, "y").means == pytest.approx(avatar.means.numpy())


def test_parts_that_do_not_fit(inputs: Inputs, motion: Motion, tmp_path: Path) -> None:
    for name in ("motion.npz", "avatar.npz"):
        (tmp_path / name).write_bytes((inputs["optimize"] / name).read_bytes())
    short = {field: value[:5] for field, value in vars(motion).items() if np.shape(value)[:1] == (8,)}
    replace(motion, **short).save(tmp_path / "motion.npz")
    with pytest.raises(StageError, match="5 frames, the clip 8"):
        Content.load({**inputs, "optimize": tmp_path})
    replace(motion, body="smpl").save(tmp_path / "motion.npz")
    with pytest.raises(InputError, match="smpl body"):
        Content.load({**inputs, "optimize": tmp_path}).mesh()


def test_the_users_own_body(inputs: Inputs, avatar: Avatar, motion: Motion, tmp_path: Path) -> None:
    own = made_up_smpl.smpl_body()
    joints = own.shaped_joints(avatar.betas)
    replace(avatar, body="smpl", rest_joints=joints).save(tmp_path / "avatar.npz")
    retarget(motion, own).save(tmp_path / "motion.npz")
    body_file = made_up_smpl.write_npz(tmp_path / "SMPL_NEUTRAL.npz")
    content = Content.load({**inputs, "optimize": tmp_path}, body_file)
    mesh = content.mesh()
    assert mesh.vertices.shape == (6890, 3)
    assert mesh.joints == pytest.approx(joints.numpy(), abs=1e-6)
    FORMATS["glb"].write(tmp_path / "body.glb", content, None, "y")
    assert ReadGlb(tmp_path / "body.glb").attributes()["POSITION"] == pytest.approx(mesh.vertices)
