"""A body that other programs animate: skinned mesh, skeleton, vertex colours and a motion, in one .glb.

World: that of the BVH, Y up, metres, camera space turned by half a turn about x. The clip's camera is at the
origin and looks along -Z; the scene has a camera of its opening angle there. Without the animation the body
stands in SMPL's T-pose about the origin, facing +Z.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from models.body import Motion
from models.formats.bvh import HALF_TURN
from models.formats.gltf import INDICES, VERTICES, Glb, linear_light

INFLUENCES = 4
"""Joints a vertex may follow: more are not read everywhere."""

_UNLIT = "KHR_materials_unlit"  # the video's light is in the colours already


@dataclass(frozen=True)
class SkinnedMesh:
    """A mesh in its rest pose (Y up, facing +Z, metres) with the skeleton that moves it.

    Attributes:
        vertices: (V, 3) float32.
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        colors: (V, 3) in [0, 1], as displayed (sRGB).
        weights: (V, J) skinning weights, rows summing to one.
        joints: (J, 3) rest positions.
        parents: J indices, each before its children; -1 marks the root, joint 0.
        names: of the joints.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int64]
    colors: NDArray[np.float32]
    weights: NDArray[np.float32]
    joints: NDArray[np.float32]
    parents: Sequence[int]
    names: Sequence[str]


def write_glb(path: Path, mesh: SkinnedMesh, motion: Motion, times: ArrayLike) -> None:
    """Writes the mesh with the motion as its animation.

    Args:
        motion: of T frames in camera space; its pelvis is kept, see `Motion.pelvis`.
        times: (T,) seconds, rising.
    """
    glb = Glb({"extensionsUsed": [_UNLIT]})
    nodes = _skeleton(mesh)
    joints = list(range(len(nodes)))
    body, camera = len(nodes), len(nodes) + 1
    skin = {
        "joints": joints,
        "skeleton": 0,
        "inverseBindMatrices": glb.add(_inverse_bind_matrices(mesh.joints)),
    }
    glb.content |= {
        "scene": 0,
        "scenes": [{"nodes": [0, body, camera]}],
        "nodes": [
            *nodes,
            {"name": "body", "mesh": 0, "skin": 0},
            {"name": "clip camera", "camera": 0},
        ],
        "meshes": [{"name": "body", "primitives": [_primitive(glb, mesh)]}],
        "materials": [
            {
                "name": "colours of the clip",
                "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9},
                "extensions": {_UNLIT: {}},
            }
        ],
        "skins": [skin],
        "cameras": [_camera(motion)],
        "animations": [_animation(glb, mesh, motion, np.asarray(times, np.float32))],
    }
    glb.write(path)


def _skeleton(mesh: SkinnedMesh) -> list[dict[str, Any]]:
    """A node for every joint, in the rest pose."""
    nodes: list[dict[str, Any]] = []
    for joint, (name, parent) in enumerate(zip(mesh.names, mesh.parents, strict=True)):
        origin = mesh.joints[parent] if parent >= 0 else np.zeros(3, np.float32)
        node: dict[str, Any] = {"name": name, "translation": (mesh.joints[joint] - origin).tolist()}
        if children := [child for child, above in enumerate(mesh.parents) if above == joint]:
            node["children"] = children
        nodes.append(node)
    return nodes


def _inverse_bind_matrices(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """(J, 4, 4) from the rest pose to each joint's own axes, which in the rest pose are the world's."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
    matrices[:, :3, 3] = -joints
    return matrices


def _primitive(glb: Glb, mesh: SkinnedMesh) -> dict[str, Any]:
    joints, weights = strongest(mesh.weights)
    light = np.column_stack([linear_light(mesh.colors), np.ones(len(mesh.colors))])
    indices = np.asarray(mesh.faces, np.uint32 if len(mesh.vertices) > 2**16 - 1 else np.uint16)
    attributes = {
        "POSITION": glb.add(mesh.vertices.astype(np.float32), VERTICES, bounds=True),
        "NORMAL": glb.add(vertex_normals(mesh.vertices, mesh.faces), VERTICES),
        "COLOR_0": glb.add(np.rint(65535 * light).astype(np.uint16), VERTICES, normalized=True),
        "JOINTS_0": glb.add(joints, VERTICES),
        "WEIGHTS_0": glb.add(weights, VERTICES),
    }
    return {"attributes": attributes, "indices": glb.add(indices.reshape(-1), INDICES), "material": 0}


def strongest(weights: NDArray[np.floating]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The joints (V, 4) that move each vertex most, and their weights (V, 4), made to sum to one again.

    Joint 0 stands where a vertex follows fewer than four.
    """
    order = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
    kept = np.take_along_axis(np.asarray(weights, np.float64), order, axis=1)
    kept /= kept.sum(axis=1, keepdims=True)
    return np.where(kept > 0, order, 0).astype(np.uint8), kept.astype(np.float32)


def vertex_normals(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float32]:
    """(V, 3) unit normals outwards: the mean of a vertex's triangles by area; upwards where it has none."""
    a, b, c = (np.asarray(vertices, np.float64)[faces[:, corner]] for corner in range(3))
    area = np.cross(b - a, c - a)
    total = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(total, faces[:, corner], area)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 0, total / np.maximum(length, 1e-30), [0.0, 1.0, 0.0]).astype(np.float32)


def _camera(motion: Motion) -> dict[str, Any]:
    """The clip's camera; glTF has no place for a principal point beside the picture's middle."""
    opening = 2 * float(np.arctan2(motion.height / 2, motion.K[1, 1]))
    perspective = {"yfov": opening, "aspectRatio": motion.width / motion.height, "znear": 0.01}
    return {"name": "clip camera", "type": "perspective", "perspective": perspective}


def _animation(glb: Glb, mesh: SkinnedMesh, motion: Motion, times: NDArray[np.float32]) -> dict[str, Any]:
    """Every joint's rotation, and where the root is."""
    turns = motion.poses.reshape(len(motion), -1, 3)
    clock = glb.add(times, bounds=True)
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []

    def channel(joint: int, path: str, values: NDArray[np.float32]) -> None:
        channels.append({"sampler": len(samplers), "target": {"node": joint, "path": path}})
        samplers.append({"input": clock, "output": glb.add(values), "interpolation": "LINEAR"})

    pelvis = motion.pelvis(mesh.joints[0]) @ HALF_TURN.T
    channel(0, "translation", pelvis.astype(np.float32))
    for joint in range(len(mesh.joints)):
        rotations = Rotation.from_rotvec(turns[:, joint])
        if joint == 0:
            rotations = Rotation.from_matrix(HALF_TURN) * rotations
        channel(joint, "rotation", continuous(rotations.as_quat()).astype(np.float32))
    return {"name": "clip", "channels": channels, "samplers": samplers}


def continuous(quaternions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Quaternions (T, 4) of the same rotations, each on its predecessor's side: the shortest way between."""
    turned = np.asarray(quaternions, np.float64)
    against = np.sum(turned[1:] * turned[:-1], axis=1) < 0
    signs = np.concatenate([[1.0], np.where(np.cumsum(against) % 2 == 1, -1.0, 1.0)])
    return turned * signs[:, None]
