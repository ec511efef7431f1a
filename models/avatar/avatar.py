"""The avatar: canonical Gaussians with the skeleton that moves them, on disk and in memory."""

import zipfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.avatar.posing import PosedGaussians, covariances, pose_gaussians
from models.body.rotations import axis_angle_to_matrix, quaternion_to_matrix
from models.body.skinning import forward_kinematics
from models.errors import InputError
from models.rasterizer import render

FORMAT = "hsplat-avatar"
VERSION = 1


@dataclass(frozen=True)
class Avatar:
    """A person as Gaussians in the rest pose of their own body, and what is needed to pose them.

    The rest pose is SMPL's: T-pose, Y up, facing +Z, metres. N Gaussians, J joints (24).

    Attributes:
        means: (N,3) centres in the rest pose of the shaped body.
        quaternions: (N,4) wxyz, each Gaussian's axes in the rest pose.
        log_scales: (N,3) natural logarithms of the standard deviations in metres.
        opacity_logits: (N,).
        colors: (N,3) in [0, 1], as displayed (sRGB values of the video; no spherical harmonics).
        weights: (N,J) skinning weights, rows summing to one.
        rest_joints: (J,3) joints of the shaped body in the rest pose.
        parents: (J,) int64, parents[0] = -1.
        betas: (10,) the shape that the body had.
        body: "embedded" or "smpl", the body model that betas belong to.
        coverage: (N,) in [0, 1], the share of the training frames in which the Gaussian was seen;
            0 marks the sides that no frame showed.
    """

    means: Tensor
    quaternions: Tensor
    log_scales: Tensor
    opacity_logits: Tensor
    colors: Tensor
    weights: Tensor
    rest_joints: Tensor
    parents: Tensor
    betas: Tensor
    body: str
    coverage: Tensor

    def __len__(self) -> int:
        return len(self.means)

    def to(self, device: torch.device | str) -> "Avatar":
        """The same avatar with its tensors on `device`."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = value.to(device)
        return replace(self, **moved)

    def pose(self, poses: Tensor, trans: Tensor) -> PosedGaussians:
        """The Gaussians of one pose, in the motion's camera space.

        Args:
            poses: (72,) axis-angle of the 24 joints, the root's first.
            trans: (3,) metres, smplx's convention: posed body = LBS(poses) + trans. To keep the pelvis of a
                motion made for another body at p, give p - rest_joints[0].
        """
        rotations = axis_angle_to_matrix(poses.reshape(1, -1, 3))
        transforms = forward_kinematics(rotations, self.rest_joints, self.parents.tolist())[0][0]
        transforms = transforms + torch.nn.functional.pad(trans[:, None], (3, 0, 0, 1))
        scales = self.log_scales.exp()
        axes = quaternion_to_matrix(self.quaternions)
        means, turned = pose_gaussians(self.means, axes, self.weights, transforms)
        return PosedGaussians(
            means=means,
            covariances=covariances(turned, scales),
            colors=self.colors,
            opacities=self.opacity_logits.sigmoid(),
            rotations=turned,
            scales=scales,
        )

    def render(
        self,
        poses: Tensor,
        trans: Tensor,
        K: Tensor,
        width: int,
        height: int,
        background: Tensor | None = None,
        T_cam_world: Tensor | None = None,
        engine: str = "auto",
    ) -> Tensor:
        """A picture of one pose.

        Args:
            poses, trans: as for `pose`.
            K: (3,3) intrinsics of the picture, pixel centres at +0.5.
            width, height: of the picture, pixels.
            background: (3,) colour behind the avatar; without it the picture has an alpha channel.
            T_cam_world: (4,4) from the motion's space to the camera's; identity if left out.
            engine: of the renderer.

        Returns:
            (H,W,3) over the background, or (H,W,4) with colour premultiplied by alpha.
        """
        posed = self.pose(poses, trans)
        means, shapes = posed.means, posed.covariances
        if T_cam_world is not None:
            turn = T_cam_world[:3, :3]
            means = means @ turn.T + T_cam_world[:3, 3]
            shapes = turn @ shapes @ turn.T
        picture = render(means, shapes, posed.colors, posed.opacities, K, width, height, engine=engine)
        if background is None:
            return torch.cat((picture.color, picture.alpha[..., None]), dim=-1)
        return picture.color + (1 - picture.alpha[..., None]) * background

    def save(self, path: Path) -> None:
        """Writes the avatar as one .npz that needs nothing else to be loaded."""
        stored: dict[str, Any] = {"format": np.array(FORMAT), "version": np.array(VERSION)}
        for field in fields(self):
            value = getattr(self, field.name)
            stored[field.name] = (
                value.detach().cpu().numpy() if isinstance(value, Tensor) else np.array(value)
            )
        with path.open("wb") as file:
            np.savez_compressed(file, **stored)

    @classmethod
    def load(cls, path: Path) -> "Avatar":
        """Reads and checks an avatar.

        Raises:
            InputError: not an avatar, of a newer version, damaged, or with values that make no sense.
        """
        advice = "Give the avatar.npz of a finished workspace's `export` folder."
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: cannot be read as an avatar ({error}).", advice) from error
        if str(arrays.pop("format", "")) != FORMAT:
            raise InputError(f"{path}: is not an avatar file.", advice)
        version = int(arrays.pop("version", np.array(0)))
        if version != VERSION:
            raise InputError(
                f"{path}: avatar of version {version}, this program reads version {VERSION}.",
                "Run `optimize` again with this program, or use the program that wrote the file.",
            )
        problem = _problem(arrays)
        if problem:
            raise InputError(f"{path}: {problem}.", advice)
        body = str(arrays.pop("body"))
        parents = torch.from_numpy(arrays.pop("parents").astype(np.int64))
        tensors = {name: torch.from_numpy(a.astype(np.float32)) for name, a in arrays.items()}
        return cls(body=body, parents=parents, **tensors)


def _problem(arrays: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the arrays of an avatar file, or None."""
    expected = {f.name for f in fields(Avatar)}
    if set(arrays) != expected:
        return f"missing or unknown arrays: {', '.join(sorted(set(arrays) ^ expected))}"
    count, joints = arrays["means"].shape[0] if arrays["means"].ndim == 2 else 0, 24
    shapes = {
        "means": (count, 3),
        "quaternions": (count, 4),
        "log_scales": (count, 3),
        "opacity_logits": (count,),
        "colors": (count, 3),
        "weights": (count, joints),
        "rest_joints": (joints, 3),
        "parents": (joints,),
        "betas": (10,),
        "body": (),
        "coverage": (count,),
    }
    if count == 0:
        return "holds no Gaussians"
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            return f"`{name}` has shape {arrays[name].shape}, expected {shape}"
        if name != "body" and not (
            np.issubdtype(arrays[name].dtype, np.number) and np.isfinite(arrays[name]).all()
        ):
            return f"`{name}` holds values that are not finite numbers"
    if str(arrays["body"]) not in ("embedded", "smpl"):
        return f"unknown body '{arrays['body']}'"
    parents = arrays["parents"]
    if parents[0] != -1 or not all(0 <= p < i for i, p in enumerate(parents) if i):
        return "`parents` is not a tree of joints"
    if (np.abs(arrays["weights"].sum(1) - 1) > 1e-3).any() or (arrays["weights"] < 0).any():
        return "`weights` does not blend to one"
    if (np.linalg.norm(arrays["quaternions"], axis=1) < 1e-6).any():
        return "`quaternions` holds zeros"
    if (np.abs(arrays["log_scales"]) > 20).any():
        return "`log_scales` is out of range"
    return None
