"""Builds data/embedded_body.npz from Anny's CC0 data: `python -m models.body.build_embedded [FILE]`.

Needs the `anny` package (`uv sync --group body`). Anny turns MakeHuman's data into a body with phenotype
parameters; this gives that body SMPL's skeleton, rest pose, skinning and a linear shape space, so that SMPL
poses drive it.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.body.body import JOINT_NAMES, PARENTS, SHAPE_COUNT
from models.body.rotations import cross_matrix
from models.body.skinning import forward_kinematics, skin

Array = NDArray[np.float64]

DEFAULT_OUTPUT = Path(__file__).parent / "data" / "embedded_body.npz"
SAMPLES = 300

HEAD_BONES = {
    "pelvis": "root",
    "hip": "upperleg01",
    "knee": "lowerleg01",
    "ankle": "foot",
    "foot": "toe3-1",
    "spine1": "spine04",
    "spine2": "spine03",
    "spine3": "spine02",
    "neck": "neck01",
    "head": "head",
    "collar": "clavicle",
    "shoulder": "upperarm01",
    "elbow": "lowerarm01",
    "wrist": "wrist",
    "hand": "finger3-1",
}
"""The bone of Anny's whose head is the joint's place."""

WEIGHT_BONES = {
    "pelvis": ("root", "spine05", "pelvis"),
    "hip": ("upperleg",),
    "knee": ("lowerleg",),
    "ankle": ("foot",),
    "foot": ("toe",),
    "spine1": ("spine04",),
    "spine2": ("spine03",),
    "spine3": ("spine02", "spine01"),
    "neck": ("neck",),
    "head": ("head", "eye"),
    "collar": ("clavicle", "shoulder01"),
    "shoulder": ("upperarm",),
    "elbow": ("lowerarm",),
    "wrist": ("wrist", "metacarpal"),
    "hand": ("finger",),
}
"""How the names of the bones begin whose skinning weights the joint sums up."""

PHENOTYPES = ("gender", "age", "muscle", "weight", "height", "proportions")
SIDES = {"left": ".L", "right": ".R"}


class AnnyBody:
    """Anny's neutral-expression body with SMPL's joints, axes and weights, in SMPL's T-pose."""

    def __init__(self) -> None:
        import anny

        self.model: Any = anny.Anny(skinning_method="lbs").to(torch.float64)
        self.faces: NDArray[np.int64] = np.asarray(self.model.faces)
        bones = self.model.bone_labels
        self.head_bones = [bones.index(_sided(name, HEAD_BONES)) for name in JOINT_NAMES]
        self.weights = self._weights()

    def bodies(self, phenotypes: list[dict[str, float]]) -> tuple[Array, Array]:
        """The T-posed vertices (n, V, 3) and joints (n, 24, 3) of n people."""
        vertices, joints = self._hanging_arms(phenotypes)
        transforms, posed = forward_kinematics(t_pose_rotations(joints), joints, PARENTS)
        return skin(vertices, torch.from_numpy(self.weights), transforms).numpy(), posed.numpy()

    def eye_vertices(self, side: str) -> NDArray[np.int64]:
        bone = self.model.bone_labels.index("eye" + SIDES[side])
        held = (self.model.vertex_bone_indices == bone) & (self.model.vertex_bone_weights > 0.5)
        return np.flatnonzero(held.any(1).numpy())

    def _hanging_arms(self, phenotypes: list[dict[str, float]]) -> tuple[torch.Tensor, torch.Tensor]:
        model = self.model
        values = torch.tensor([[person[label] for label in model.phenotype_labels] for person in phenotypes])
        _, values, local, facial = model.get_tensor_inputs(None, values.to(torch.float64), None, None)
        coefficients = model._get_phenotype_blendshape_coefficients(values, local, facial)
        vertices = model.get_rest_vertices(coefficients)
        heads = model.template_bone_heads + torch.einsum(
            "nk,kbi->nbi", coefficients, model.bone_heads_blendshapes
        )
        return _to_smpl_axes(vertices), _to_smpl_axes(heads[:, self.head_bones])

    def _weights(self) -> Array:
        joint_of_bone = np.array([_joint_of(bone) for bone in self.model.bone_labels])
        weights = np.zeros((len(self.model.template_vertices), len(JOINT_NAMES)))
        rows = np.arange(len(weights))[:, None]
        columns = joint_of_bone[self.model.vertex_bone_indices.numpy()]
        np.add.at(weights, (rows, columns), self.model.vertex_bone_weights.numpy())
        return weights / weights.sum(1, keepdims=True)


def t_pose_rotations(joints: torch.Tensor) -> torch.Tensor:
    """The rotations (n, 24, 3, 3) that turn hanging upper arms, then forearms, the shortest way sideways."""
    rotations = torch.eye(3, dtype=joints.dtype).repeat(*joints.shape[:2], 1, 1)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        shoulder, elbow, wrist = (
            JOINT_NAMES.index(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist")
        )
        sideways = joints.new_tensor([sign, 0, 0]).expand(len(joints), 3)
        upper = _shortest_turn(joints[:, elbow] - joints[:, shoulder], sideways)
        forearm = joints[:, wrist] - joints[:, elbow]
        turned = (upper @ forearm[..., None]).squeeze(-1)
        rotations[:, shoulder] = upper
        rotations[:, elbow] = upper.mT @ _shortest_turn(turned, sideways) @ upper
    return rotations


def sample_phenotypes(count: int, seed: int = 0) -> list[dict[str, float]]:
    """Grown-up people, most of them near the middle of every scale.

    Gender and age draw a normal too, and then are drawn anew: the benchmark's body was sampled so.
    """
    generator = np.random.default_rng(seed)
    people = []
    for _ in range(count):
        person = {label: float(np.clip(generator.normal(0.5, 0.22), 0, 1)) for label in PHENOTYPES}
        person["gender"] = float(generator.uniform())
        person["age"] = float(generator.uniform(0.55, 0.95))
        people.append(person)
    return people


def shape_space(vertices: Array, joints: Array) -> tuple[Array, Array]:
    """Principal components of samples (n, V, 3), each one standard deviation long, and the joints' response.

    Which way a component points is LAPACK's choice.

    Returns:
        Directions (V, 3, 10) of the vertices and (24, 3, 10) of the joints.
    """
    scores = np.linalg.svd(_centred(vertices), full_matrices=False)[0][:, :SHAPE_COUNT]
    # The scores have length 1 and so a standard deviation of 1 / sqrt(n - 1).
    vertex_dirs, joint_dirs = (
        (_centred(points).T @ scores / np.sqrt(len(points) - 1)).reshape(-1, 3, SHAPE_COUNT)
        for points in (vertices, joints)
    )
    return vertex_dirs, joint_dirs


def mirror_vertices(template: Array) -> NDArray[np.int64]:
    """Each vertex's counterpart (V,) on the other side; the mesh is symmetric within a millimetre."""
    distances, mirror = cKDTree(template).query(template * [-1, 1, 1])
    if distances.max() > 1e-3 or not np.array_equal(mirror[mirror], np.arange(len(template))):
        raise ValueError(f"the mesh is not symmetric: {1e3 * distances.max():.2f} mm")
    return mirror


def keypoint_vertices(body: AnnyBody, template: Array) -> dict[str, int]:
    """The vertices smplx asks for: tip of the nose, pupils, outermost points of the ears."""
    head = np.flatnonzero(body.weights[:, JOINT_NAMES.index("head")] > 0.5)
    left_eye, right_eye = body.eye_vertices("left"), body.eye_vertices("right")
    return {
        "nose": int(head[template[head, 2].argmax()]),
        "reye": int(right_eye[template[right_eye, 2].argmax()]),
        "leye": int(left_eye[template[left_eye, 2].argmax()]),
        "rear": int(head[template[head, 0].argmin()]),
        "lear": int(head[template[head, 0].argmax()]),
    }


def build() -> dict[str, Any]:
    """The arrays of the embedded body's file."""
    body = AnnyBody()
    vertices, joints = body.bodies(sample_phenotypes(SAMPLES))
    shapedirs, joint_dirs = shape_space(vertices, joints)
    template = vertices.mean(0)
    keypoints = keypoint_vertices(body, template)
    return {
        "v_template": template.astype(np.float32),
        "shapedirs": shapedirs.astype(np.float32),
        "joint_template": joints.mean(0).astype(np.float32),
        "joint_dirs": joint_dirs.astype(np.float32),
        "weights": body.weights.astype(np.float32),
        "faces": body.faces.astype(np.uint16),
        "mirror": mirror_vertices(template).astype(np.uint16),
        "keypoint_names": np.array(list(keypoints)),
        "keypoint_vertices": np.array(list(keypoints.values()), dtype=np.uint16),
    }


def main() -> None:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_OUTPUT
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(output, **build())
    print(f"{output}: {output.stat().st_size / 1e6:.2f} MB")


def _shortest_turn(start: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """The rotations (n, 3, 3) by the least angle of directions `start` (n, 3) into unit vectors `end`."""
    start = torch.nn.functional.normalize(start, dim=-1)
    cross = cross_matrix(torch.linalg.cross(start, end))
    cosine = (start * end).sum(-1)[:, None, None]
    return torch.eye(3, dtype=start.dtype) + cross + cross @ cross / (1 + cosine)


def _to_smpl_axes(points: torch.Tensor) -> torch.Tensor:
    """From Anny's axes (Z up, facing -Y) to SMPL's (Y up, facing +Z)."""
    x, y, z = points.unbind(-1)
    return torch.stack([x, z, -y], -1)


def _sided(joint: str, bones: dict[str, str]) -> str:
    side, _, part = joint.rpartition("_")
    return bones[part] + SIDES.get(side, "")


def _joint_of(bone: str) -> int:
    base, _, side = bone.partition(".")
    part = next(part for part, beginnings in WEIGHT_BONES.items() if base.startswith(beginnings))
    prefix = {"L": "left_", "R": "right_"}.get(side, "") if part not in ("pelvis", "head") else ""
    return JOINT_NAMES.index(prefix + part)


def _centred(points: Array) -> Array:
    flat = points.reshape(len(points), -1)
    return flat - flat.mean(0)


if __name__ == "__main__":
    main()
