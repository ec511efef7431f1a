"""The body's .glb as pygltflib and trimesh read it, and posed by the format's own definition."""

from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from models.body import JOINT_NAMES, PARENTS, Motion, load_embedded_body, retarget
from models.formats import SkinnedMesh, write_glb
from models.formats.glb import continuous, strongest, vertex_normals
from tests.models.formats.glbs import ReadGlb
from tests.models.formats.motions import T, some_motion

HALF_TURN = np.diag([1.0, -1.0, -1.0])
TIMES = np.array([0, 0.1, 0.2, 0.4, 0.5, 0.6, 0.7])


@pytest.fixture(scope="module")
def motion() -> Motion:
    """Made for another shape than the mesh has; its pelvis counts."""
    return some_motion(load_embedded_body())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, mesh: SkinnedMesh, motion: Motion) -> Path:
    file = tmp_path_factory.mktemp("glb") / "body.glb"
    write_glb(file, mesh, motion, TIMES)
    return file


@pytest.fixture(scope="module")
def read(path: Path) -> ReadGlb:
    return ReadGlb(path)


def joint_matrices(read: ReadGlb, time: float) -> NDArray[np.float64]:
    """(24, 4, 4) of the joints' nodes in the scene, the animation at `time` seconds."""
    gltf = read.gltf
    local = {}
    for index, node in enumerate(gltf.nodes):
        local[index] = {
            "translation": np.array(node.translation or [0, 0, 0], float),
            "rotation": Rotation.from_quat(node.rotation or [0, 0, 0, 1]),
        }
    for channel in gltf.animations[0].channels:
        sampler = gltf.animations[0].samplers[channel.sampler]
        times, values = read.array(sampler.input)[:, 0].astype(float), read.array(sampler.output)
        assert sampler.interpolation == "LINEAR"
        local[channel.target.node][channel.target.path] = (
            Slerp(times, Rotation.from_quat(values))(min(time, times[-1]))
            if channel.target.path == "rotation"
            else np.array([np.interp(time, times, column) for column in values.T])
        )
    world: dict[int, NDArray[np.float64]] = {}

    def descend(index: int, above: NDArray[np.float64]) -> None:
        matrix = np.eye(4)
        matrix[:3, :3] = local[index]["rotation"].as_matrix()
        matrix[:3, 3] = local[index]["translation"]
        world[index] = above @ matrix
        for child in gltf.nodes[index].children or []:
            descend(child, world[index])

    for root in gltf.scenes[gltf.scene].nodes:
        descend(root, np.eye(4))
    return np.stack([world[joint] for joint in gltf.skins[0].joints])


def test_joints_are_where_the_motion_has_them(read: ReadGlb, motion: Motion) -> None:
    names = [read.gltf.nodes[joint].name for joint in read.gltf.skins[0].joints]
    assert names == list(JOINT_NAMES)
    expected = retarget(motion, load_embedded_body(), np.zeros(10)).joints
    assert expected is not None
    for frame in range(T):
        found = joint_matrices(read, TIMES[frame])[:, :3, 3]
        assert found == pytest.approx(expected[frame] @ HALF_TURN, abs=1e-4)
    assert found[0] == pytest.approx(HALF_TURN @ motion.joints[-1, 0], abs=1e-5)


def test_vertices_follow_as_the_body_does(read: ReadGlb, motion: Motion) -> None:
    body = load_embedded_body()
    driven = retarget(motion, body, np.zeros(10))
    arguments = (driven.poses[3:4], driven.trans[3:4], driven.betas)
    expected = body.pose(*map(torch.from_numpy, arguments)).vertices[0].numpy()
    attributes = read.attributes()
    bind = read.array(read.gltf.skins[0].inverseBindMatrices).reshape(-1, 4, 4).transpose(0, 2, 1)
    matrices = joint_matrices(read, TIMES[3]) @ bind
    blended = np.einsum(
        "vk,vkij->vij", attributes["WEIGHTS_0"].astype(float), matrices[attributes["JOINTS_0"].astype(int)]
    )
    rest = np.column_stack([attributes["POSITION"], np.ones(len(expected))])
    found = np.einsum("vij,vj->vi", blended, rest)[:, :3]
    distance = np.linalg.norm(found @ HALF_TURN - expected, axis=1)
    assert np.median(distance) < 1e-5
    assert distance.max() < 0.01  # of vertices that follow more than four joints


def test_what_every_reader_needs(read: ReadGlb, mesh: SkinnedMesh) -> None:
    attributes = read.attributes()
    assert set(attributes) == {"POSITION", "NORMAL", "COLOR_0", "JOINTS_0", "WEIGHTS_0"}
    assert attributes["WEIGHTS_0"].sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert attributes["JOINTS_0"].max() < 24
    assert np.linalg.norm(attributes["NORMAL"], axis=1) == pytest.approx(1, abs=1e-5)
    light = attributes["COLOR_0"] / 65535
    assert light[:, 3] == pytest.approx(1)
    assert light[:, 1] == pytest.approx(0.214041, abs=1e-4)  # of an sRGB value of one half
    indices = read.array(read.gltf.meshes[0].primitives[0].indices)
    assert np.array_equal(indices.reshape(-1, 3), mesh.faces)


def test_the_clip_s_timing_and_camera(read: ReadGlb, motion: Motion) -> None:
    clock = read.array(read.gltf.animations[0].samplers[0].input)[:, 0]
    assert clock == pytest.approx(TIMES)
    lens = read.gltf.cameras[0].perspective
    assert np.tan(lens.yfov / 2) == pytest.approx(motion.height / 2 / motion.K[1, 1])
    assert lens.aspectRatio == pytest.approx(motion.width / motion.height)


def test_the_rest_pose_stands_upright(read: ReadGlb, mesh: SkinnedMesh) -> None:
    nodes = read.gltf.nodes
    place = np.zeros((24, 3))
    for joint, parent in enumerate(PARENTS):
        place[joint] = np.add(nodes[joint].translation, place[parent] if parent >= 0 else 0)
    assert place == pytest.approx(mesh.joints, abs=1e-6)


def test_trimesh_reads_it(path: Path, mesh: SkinnedMesh) -> None:
    scene = trimesh.load(path)
    (found,) = scene.geometry.values()
    assert found.vertices == pytest.approx(mesh.vertices, abs=1e-6)
    assert found.is_watertight
    assert found.volume > 0  # faces outwards


def test_the_same_twice(tmp_path: Path, mesh: SkinnedMesh, motion: Motion, path: Path) -> None:
    write_glb(tmp_path / "again.glb", mesh, motion, TIMES)
    assert (tmp_path / "again.glb").read_bytes() == path.read_bytes()


def test_four_joints_at_most() -> None:
    weights = np.float32([[0.3, 0.05, 0.2, 0.25, 0.2], [0, 0, 1, 0, 0]])
    joints, kept = strongest(weights)
    assert joints[0].tolist() == [0, 3, 2, 4]
    assert kept[0] == pytest.approx(np.array([0.3, 0.25, 0.2, 0.2]) / 0.95)
    assert joints[1].tolist() == [2, 0, 0, 0] and kept[1].tolist() == [1, 0, 0, 0]


def test_normals_point_outwards_and_lone_vertices_have_one() -> None:
    corners = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]])
    normals = vertex_normals(corners, np.array([[0, 1, 2]]))
    assert normals.tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 1, 0]]


def test_quaternions_keep_to_one_side() -> None:
    angles = np.linspace(0, 4 * np.pi, 60)
    steady = continuous(Rotation.from_rotvec(angles[:, None] * [0, 0, 1.0]).as_quat(canonical=True))
    assert (np.sum(steady[1:] * steady[:-1], axis=1) > 0.9).all()
    assert Rotation.from_quat(steady).as_matrix() == pytest.approx(
        Rotation.from_rotvec(angles[:, None] * [0, 0, 1.0]).as_matrix()
    )
