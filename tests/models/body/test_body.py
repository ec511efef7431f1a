"""The embedded body: its promised measures, the benchmark's reference, and its posing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.body import JOINT_NAMES, PARENTS, BodyModel, load_body, load_embedded_body
from models.body.rotations import axis_angle_to_matrix
from models.body.skinning import skin

SHARED = Path(os.environ.get("HSPLAT_SHARED", Path(__file__).parents[3].parent / "shared"))
REFERENCE = SHARED / "bench" / "body_reference.npz"


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_embedded_body()


@pytest.fixture(scope="module")
def reference() -> dict[str, Tensor]:
    if not REFERENCE.exists():
        pytest.skip(f"the benchmark's body is not here: {REFERENCE}")
    with np.load(REFERENCE) as data:
        return {name: torch.from_numpy(data[name]) for name in data.files if name != "names"}


def random_pose(body: BodyModel, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(body.v_template)

    return 0.5 * normal(batch, 72), normal(batch, 3), normal(10)


def test_default_body_is_the_embedded_one() -> None:
    assert load_body().kind == "embedded"


def test_the_embedded_body_needs_no_smplx() -> None:
    code = (
        "import sys; sys.modules['smplx'] = None; from models.body import load_body; print(load_body().kind)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "embedded"


def test_measures(body: BodyModel) -> None:
    assert body.v_template.shape == (13718, 3)
    assert body.faces.shape == (27420, 3)
    assert torch.equal(body.faces.unique(), torch.arange(13718))
    height = body.v_template[:, 1].max() - body.v_template[:, 1].min()
    assert float(height) == pytest.approx(1.80, abs=0.01)
    expected = {"shoulder": 0.182, "elbow": 0.461, "wrist": 0.710, "hip": 0.115}
    for part, x in expected.items():
        sides = [JOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right")]
        assert body.joint_template[sides, 0].tolist() == pytest.approx([x, -x], abs=0.005)


def test_t_pose_faces_forward_with_the_left_towards_x(body: BodyModel) -> None:
    joint = dict(zip(JOINT_NAMES, body.joint_template, strict=True))
    assert joint["left_wrist"][0] > 0 > joint["right_wrist"][0]
    assert joint["head"][1] > joint["pelvis"][1] > joint["left_ankle"][1]
    assert joint["left_foot"][2] > joint["left_ankle"][2]
    for side in ("left", "right"):
        arm = torch.stack([joint[f"{side}_{part}"] for part in ("shoulder", "elbow", "wrist")])
        torch.testing.assert_close(arm[:, 1:], arm[:1, 1:].expand(3, 2), rtol=0, atol=1e-5)


def test_weights_are_weights(body: BodyModel) -> None:
    assert body.weights.min() >= 0
    torch.testing.assert_close(body.weights.sum(1), torch.ones(13718), rtol=0, atol=1e-5)


def test_faces_look_outward(body: BodyModel) -> None:
    corners = body.v_template[body.faces].double()
    volume = torch.linalg.det(corners).sum() / 6
    assert 0.04 < volume < 0.12


def test_mirror_swaps_the_sides(body: BodyModel) -> None:
    assert body.mirror is not None
    mirrored = body.v_template[body.mirror] * torch.tensor([-1.0, 1, 1])
    torch.testing.assert_close(mirrored, body.v_template, rtol=0, atol=1e-3)
    other = {"left": "right", "right": "left"}
    names = ("_".join(other.get(part, part) for part in name.split("_")) for name in JOINT_NAMES)
    swapped = [JOINT_NAMES.index(name) for name in names]
    assert (body.weights[body.mirror][:, swapped] - body.weights).abs().max() < 0.05


def test_keypoints_lie_on_the_face(body: BodyModel) -> None:
    place = {name: body.v_template[vertex] for name, vertex in body.keypoints.items()}
    assert set(place) == {"nose", "reye", "leye", "rear", "lear"}
    assert place["rear"][0] < place["reye"][0] < place["nose"][0] < place["leye"][0] < place["lear"][0]
    assert place["nose"][2] > place["leye"][2] > place["lear"][2]
    assert place["leye"][1] > place["nose"][1]


def test_first_component_is_mostly_height(body: BodyModel) -> None:
    vertices, joints = body.shape(torch.eye(10)[0])
    growth = (vertices[:, 1].max() - vertices[:, 1].min()) - 1.80
    assert 0.18 < growth < 0.28
    assert (joints[15, 1] - joints[10, 1]) > (body.joint_template[15, 1] - body.joint_template[10, 1])


def test_it_is_the_reference(body: BodyModel, reference: dict[str, Tensor]) -> None:
    assert tuple(reference["parents"].tolist()) == PARENTS
    assert torch.equal(body.faces, reference["f"].long())
    for ours, theirs in (
        (body.v_template, "v_template"),
        (body.joint_template, "J"),
        (body.weights, "weights"),
        (body.shapedirs, "shapedirs"),
        (body.joint_dirs, "Jdirs"),
    ):
        difference = (ours - reference[theirs]).abs().max()
        assert difference < 1e-5, theirs


@pytest.mark.parametrize("sequence", ["seq01_walk_circle", "seq02_apose_turn", "seq05_kata"])
def test_it_poses_as_the_benchmark_does(body: BodyModel, sequence: str) -> None:
    path = SHARED / "bench" / sequence / "gt.npz"
    if not path.exists():
        pytest.skip(f"the benchmark is not here: {path}")
    with np.load(path) as data:
        names = ("poses_cam", "trans_cam", "betas", "joints_cam", "vertices_cam")
        truth = {name: torch.from_numpy(data[name]).float() for name in names}
        shown = data["vertices_frames"].tolist()
    posed = body.pose(truth["poses_cam"], truth["trans_cam"], truth["betas"])
    torch.testing.assert_close(posed.joints, truth["joints_cam"], rtol=0, atol=1e-5)
    torch.testing.assert_close(posed.vertices[shown], truth["vertices_cam"], rtol=0, atol=1e-5)


def test_shape_and_pose_are_batched_alike(body: BodyModel) -> None:
    poses, trans, betas = random_pose(body)
    together = body.pose(poses, trans, torch.stack([betas, -betas]))
    for index, sign in enumerate((1, -1)):
        alone = body.pose(poses[index : index + 1], trans[index : index + 1], sign * betas)
        torch.testing.assert_close(together.vertices[index], alone.vertices[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(together.joints[index], alone.joints[0], rtol=0, atol=1e-5)


def test_pelvis_is_its_rest_place_plus_trans(body: BodyModel) -> None:
    poses, trans, betas = random_pose(body)
    expected = body.shaped_joints(betas)[0] + trans
    torch.testing.assert_close(body.pose(poses, trans, betas).joints[:, 0], expected)


def test_transforms_carry_the_rest_pose_to_the_posed_body(body: BodyModel) -> None:
    poses, trans, betas = random_pose(body)
    posed = body.pose(poses, trans, betas)
    vertices, joints = body.shape(betas)
    torch.testing.assert_close(skin(vertices, body.weights, posed.transforms), posed.vertices)
    carried = (posed.transforms[..., :3, :3] @ joints[..., None]).squeeze(-1) + posed.transforms[..., :3, 3]
    torch.testing.assert_close(carried, posed.joints, rtol=0, atol=1e-5)


def test_matrices_serve_as_poses(body: BodyModel) -> None:
    poses, trans, betas = random_pose(body)
    matrices = axis_angle_to_matrix(poses.unflatten(-1, (24, 3)))
    expected = body.pose(poses, trans, betas).vertices
    torch.testing.assert_close(body.pose(matrices, trans, betas).vertices, expected)


def test_moving_keeps_integers_whole(body: BodyModel) -> None:
    double = body.to(dtype=torch.float64)
    assert double.shapedirs.dtype == torch.float64
    assert double.faces.dtype == torch.int64
    poses, trans, betas = random_pose(double)
    assert double.pose(poses, trans, betas).vertices.dtype == torch.float64
