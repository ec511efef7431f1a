"""AMASS: what is written has the person where the motion has them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.body import BodyModel, load_embedded_body
from models.errors import InputError
from models.formats import is_amass, read_amass, write_amass
from models.formats.amass import REST_PELVIS
from tests.models.formats.motions import T, joints_of, rest_joints, some_motion


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
    shift = torch.tensor(REST_PELVIS[model]).float() - body.shaped_joints(torch.from_numpy(motion.betas))[0]
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


@pytest.mark.parametrize("model", ["smplh", "smplx"])
def test_what_is_written_comes_back(tmp_path: Path, body: BodyModel, model: str) -> None:
    motion = some_motion(body)
    write_amass(tmp_path / "a.npz", motion, model)
    assert is_amass(tmp_path / "a.npz")
    back = read_amass(tmp_path / "a.npz", rest_joints(motion, body), body.kind, motion.betas)
    assert back.joints is not None and motion.joints is not None and back.fps == motion.fps
    np.testing.assert_allclose(back.joints[:, :22], motion.joints[:, :22], atol=1e-5)
    np.testing.assert_allclose(back.trans, motion.trans, atol=1e-5)
    assert not back.poses[:, 66:].any()


def test_the_motions_of_smpl_keep_their_hands(tmp_path: Path, body: BodyModel) -> None:
    poses = np.zeros((2, 72))
    poses[:, 66:] = 0.3
    np.savez(tmp_path / "a.npz", poses=poses, trans=np.zeros((2, 3)), mocap_framerate=120.0)
    motion = read_amass(tmp_path / "a.npz", body.joint_template)
    assert motion.poses[0, 66:] == pytest.approx(np.full(6, 0.3)) and motion.fps == 120
    # SMPL unturned stands along y: in a world with z up it lies on its back, and is seen from above.
    head, pelvis = motion.joints[0, 15], motion.joints[0, 0]
    assert head[2] > pelvis[2] + 0.4 and abs(head[1] - pelvis[1]) < 0.1


GOOD = {"poses": np.zeros((4, 165)), "trans": np.zeros((4, 3)), "mocap_frame_rate": np.array(30)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"poses": np.zeros((4, 100))}, "skeleton is not"),
        ({"poses": np.zeros((0, 72)), "trans": np.zeros((0, 3))}, "skeleton is not"),
        ({"poses": np.full((4, 72), np.nan)}, "finite"),
        ({"poses": np.full((4, 72), 90.0)}, "degrees"),
        ({"poses": np.zeros((4, 72), dtype="U3")}, "finite"),
        ({"trans": np.zeros((3, 3))}, "trans"),
        ({"mocap_frame_rate": np.array(0)}, "rate"),
        ({"mocap_frame_rate": np.array(1e-9)}, "rate"),
        ({"mocap_frame_rate": np.array([30, 30])}, "rate"),
        ({"poses": None}, "lacks"),
        ({"mocap_frame_rate": None}, "lacks"),
        ({"poses": np.array([None] * 4)}, "plain npz"),
    ],
)
def test_files_that_are_none_are_refused(
    tmp_path: Path, body: BodyModel, changes: dict[str, np.ndarray | None], reason: str
) -> None:
    arrays = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=reason) as told:
        read_amass(tmp_path / "a.npz", body.joint_template)
    assert "a.npz" in told.value.problem


@pytest.mark.parametrize("content", [b"", b"not a zip at all", None])
def test_files_that_are_no_archives_are_refused(
    tmp_path: Path, body: BodyModel, content: bytes | None
) -> None:
    path = tmp_path / "a.npz"
    if content is not None:
        path.write_bytes(content)
    assert not is_amass(path)
    with pytest.raises(InputError, match=r"a\.npz"):
        read_amass(path, body.joint_template)
