"""A body model in SMPL's form: 24 joints, ten shape coefficients, linear blend skinning.

Rest pose: T-pose, metres, Y up, facing +Z, the person's left towards +X.
"""

from dataclasses import dataclass, fields, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from models.body.rotations import axis_angle_to_matrix
from models.body.skinning import forward_kinematics, skin

JOINT_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle",
    "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hand", "right_hand",
)  # fmt: skip
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
JOINT_COUNT = len(JOINT_NAMES)
SHAPE_COUNT = 10

BodyKind = Literal["embedded", "smpl"]


@dataclass(frozen=True)
class Posed:
    """A batch of posed bodies in the space of `trans`.

    Attributes:
        vertices: (B, V, 3) metres.
        joints: (B, 24, 3) metres.
        transforms: (B, 24, 4, 4) from the rest pose to there, the translation included.
    """

    vertices: Tensor
    joints: Tensor
    transforms: Tensor


@dataclass(frozen=True, eq=False)
class BodyModel:
    """The body's data; V vertices, F triangles.

    Attributes:
        kind: which data this is.
        v_template: (V, 3) mean body.
        shapedirs: (V, 3, 10) displacement per unit of each shape coefficient (one standard deviation).
        joint_template: (24, 3) the mean body's joints.
        joint_dirs: (24, 3, 10) their displacement.
        weights: (V, 24) skinning weights, rows sum to one.
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        posedirs: (207, 3V) displacement by the entries of R - I of joints 1..23 as in smplx, or None.
        keypoints: vertices on the face: nose, reye, leye, rear, lear.
        mirror: (V,) each vertex's counterpart on the other side of the body, or None where unknown.
    """

    kind: BodyKind
    v_template: Tensor
    shapedirs: Tensor
    joint_template: Tensor
    joint_dirs: Tensor
    weights: Tensor
    faces: Tensor
    posedirs: Tensor | None
    keypoints: dict[str, int]
    mirror: Tensor | None

    parents = PARENTS
    joint_names = JOINT_NAMES

    def shape(self, betas: Tensor) -> tuple[Tensor, Tensor]:
        """The rest-pose vertices (V, 3) and joints (24, 3) of shape betas (10,); or all with a B in front."""
        vertices = self.v_template + torch.einsum("...k,vik->...vi", betas, self.shapedirs)
        return vertices, self.shaped_joints(betas)

    def shaped_joints(self, betas: Tensor) -> Tensor:
        """The rest-pose joints (24, 3) of shape betas (10,); or both with a B in front."""
        return self.joint_template + torch.einsum("...k,jik->...ji", betas, self.joint_dirs)

    def articulate(self, poses: Tensor, trans: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
        """Poses the skeleton alone.

        Args:
            poses: (B, 72) axis-angle radians, or (B, 24, 3, 3) matrices; joint 0 orients the whole body.
            trans: (B, 3) metres.
            betas: (10,) or (B, 10).

        Returns:
            Transforms (B, 24, 4, 4) from the rest pose, `trans` included, and joints (B, 24, 3).
        """
        transforms, joints = forward_kinematics(_matrices(poses), self.shaped_joints(betas), self.parents)
        lift = torch.nn.functional.pad(trans[:, None, :, None], (3, 0, 0, 1))
        return transforms + lift, joints + trans[:, None]

    def pose(self, poses: Tensor, trans: Tensor, betas: Tensor) -> Posed:
        """Poses the body as smplx does: v = LBS(poses, betas) + trans. Arguments as of `articulate`."""
        rotations = _matrices(poses)
        vertices = self.shape(betas)[0]
        if self.posedirs is not None:
            vertices = vertices + self.pose_correction(rotations)
        transforms, joints = self.articulate(rotations, trans, betas)
        return Posed(skin(vertices, self.weights, transforms), joints, transforms)

    def pose_correction(self, rotations: Tensor) -> Tensor:
        """The pose-dependent displacement (B, V, 3) of the rest-pose vertices; zero for a body without."""
        if self.posedirs is None:
            return self.v_template.new_zeros(len(rotations), *self.v_template.shape)
        identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        feature = (rotations[:, 1:] - identity).flatten(1)
        return (feature @ self.posedirs).unflatten(-1, (-1, 3))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "BodyModel":
        """The same body with its tensors elsewhere, or with another floating-point type."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = value.to(device, dtype if value.is_floating_point() else None)
        return replace(self, **moved)


def load_embedded_body() -> BodyModel:
    """The body that ships with this package (CC0; see data/README.md), on the CPU in single precision."""
    with as_file(files("models.body") / "data" / "embedded_body.npz") as path:
        return _read_embedded(path)


def load_body(path: Path | None = None) -> BodyModel:
    """The embedded body, or the SMPL model in the user's own SMPL_NEUTRAL.pkl or .npz.

    Raises:
        InputError: the file is not an SMPL model, or smplx is missing.
    """
    if path is None:
        return load_embedded_body()
    from models.body.official import load_smpl

    return load_smpl(path)


def _read_embedded(path: Path) -> BodyModel:
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: torch.from_numpy(data[name]) for name in data.files if name != "keypoint_names"}
        names, vertices = data["keypoint_names"].tolist(), data["keypoint_vertices"].tolist()
    return BodyModel(
        kind="embedded",
        v_template=arrays["v_template"],
        shapedirs=arrays["shapedirs"],
        joint_template=arrays["joint_template"],
        joint_dirs=arrays["joint_dirs"],
        weights=arrays["weights"],
        faces=arrays["faces"].long(),
        posedirs=None,
        keypoints=dict(zip(names, vertices, strict=True)),
        mirror=arrays["mirror"].long(),
    )


def _matrices(poses: Tensor) -> Tensor:
    return poses if poses.ndim == 4 else axis_angle_to_matrix(poses.unflatten(-1, (JOINT_COUNT, 3)))
