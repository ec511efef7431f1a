"""The avatar: canonical Gaussians with the skeleton that moves them, on disk and in memory."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.posing import PosedGaussians, pose_ellipsoids
from models.body import Motion
from models.body.rotations import axis_angle_to_matrix
from models.body.skinning import forward_kinematics
from models.errors import InputError
from models.npz import Unreadable, read_npz

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

    def pose(
        self, poses: Tensor | NDArray[np.floating], trans: Tensor | NDArray[np.floating] | None = None
    ) -> PosedGaussians:
        """The avatar in one pose or in a batch of them; `render` draws it. Differentiable.

        Args:
            poses: (72,) or (T,72), axis-angle radians of the 24 joints, joint 0 orienting the whole body.
            trans: (3,) or (T,3) metres, smplx's convention: posed body = LBS(poses) + trans. Without it the
                pelvis stays where the rest pose has it. For a motion made for another body: `trans_for`.

        Returns:
            The Gaussians in the space of `trans`, on the avatar's device.

        Raises:
            ValueError: a wrong shape, or values that are not finite.
        """
        turns = _finite("poses", poses, 3 * len(self.parents)).to(self.means)
        place = turns.new_zeros(3) if trans is None else _finite("trans", trans, 3).to(self.means)
        if place.ndim > 1 and place.shape[:-1] != turns.shape[:-1]:
            raise ValueError(f"there are poses {tuple(turns.shape)}, but trans {tuple(place.shape)}")
        rotations = axis_angle_to_matrix(turns.reshape(-1, len(self.parents), 3))
        transforms = forward_kinematics(rotations, self.rest_joints, self.parents.tolist())[0]
        lift = place.expand(len(transforms), 3)[:, None, :, None]
        transforms = transforms + torch.nn.functional.pad(lift, (3, 0, 0, 1))
        if turns.ndim == 1:
            transforms = transforms[0]
        means, shapes = pose_ellipsoids(
            self.means, self.quaternions, self.log_scales, self.weights, transforms
        )
        return PosedGaussians(self, transforms, means, shapes)

    def trans_for(self, motion: Motion) -> Tensor:
        """The `trans` (T,3), metres, that puts this avatar's pelvis where the motion has its own.

        The motion may be of another shape. One of the same kind of body without joints keeps its `trans`.
        """
        rest = self.rest_joints[0]
        theirs = rest.cpu().numpy() if motion.body == self.body else motion.rest_pelvis()
        return torch.from_numpy(motion.pelvis(theirs)).to(rest) - rest

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
            arrays = read_npz(path)
        except (OSError, Unreadable) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"{path}: cannot be read as an avatar ({reason}).", advice) from error
        if str(arrays.pop("format", "")) != FORMAT:
            raise InputError(f"{path}: is not an avatar file.", advice)
        version = arrays.pop("version", np.array(0))
        if not np.array_equal(version, VERSION):
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


def _finite(name: str, values: Tensor | NDArray[np.floating], size: int) -> Tensor:
    """As a tensor (size,) or (T, size) of finite numbers."""
    tensor = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values, np.float64))
    if tensor.ndim not in (1, 2) or tensor.shape[-1] != size or not len(tensor):
        raise ValueError(f"{name} must be ({size},) or (T, {size}), not {tuple(tensor.shape)}")
    if not tensor.isfinite().all():
        raise ValueError(f"{name} holds values that are not finite numbers")
    return tensor


def _finite_singles(values: NDArray[Any]) -> bool:
    """Whether they are finite numbers in single precision, too."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(values.astype(np.float32)).all())


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
        if name != "body" and not (arrays[name].dtype.kind in "fiu" and _finite_singles(arrays[name])):
            return f"`{name}` holds values that are not finite numbers"
    if str(arrays["body"]) not in ("embedded", "smpl"):
        return f"unknown body '{str(arrays['body'])[:20]}'"
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
