"""What files of other programs are made of: the avatar's Gaussians at rest or posed, and the body's mesh."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.avatar import Avatar
from models.avatar.baking import vertex_colors
from models.body import Motion, load_body
from models.body.rotations import matrix_to_quaternion
from models.errors import StageError
from models.formats import SkinnedMesh, Splats
from models.formats.bvh import HALF_TURN
from stages.frames import Frames

NEEDS = ("frames", "optimize")
# What was up is down, what was in front is behind.
_TURN = Rotation.from_matrix(HALF_TURN)

Up = Literal["y", "-y"]


@dataclass(frozen=True, eq=False)
class Content:
    """One clip's avatar and refined motion of T frames.

    Attributes:
        avatar: of the refined motion.
        motion: camera space.
        times: (T,) seconds since the clip's first frame.
        body_file: SMPL's, where the motion is of that body.
    """

    avatar: Avatar
    motion: Motion
    times: NDArray[np.float64]
    body_file: Path | None

    @classmethod
    def load(cls, folders: Mapping[str, Path], body_file: Path | None = None) -> "Content":
        """Reads the folders of frames and optimize.

        Raises:
            InputError: a file is not what the stages write.
            StageError: they are of different lengths.
        """
        frames, motion = Frames.load(folders["frames"]), Motion.load(folders["optimize"] / "motion.npz")
        if len(frames) != len(motion):
            raise StageError(
                f"The motion has {len(motion)} frames, the clip {len(frames)}.",
                "Run again with --redo poses.",
            )
        avatar = Avatar.load(folders["optimize"] / "avatar.npz")
        return cls(avatar, motion, frames.times - frames.times[0], body_file)

    def splats(self, frame: int | None, up: Up) -> Splats:
        """The Gaussians at rest, or in the pose of a frame; see `resting` and `posed`."""
        return resting(self.avatar, up) if frame is None else posed(self.avatar, self.motion, frame, up)

    def mesh(self) -> SkinnedMesh:
        """The body's mesh in the avatar's shape and colours.

        Raises:
            InputError: the body's file cannot be used, or is not the motion's body.
        """
        body = load_body(self.body_file)
        self.motion.require(body)
        with torch.no_grad():
            vertices = body.shape(self.avatar.betas)[0].numpy()
        return SkinnedMesh(
            vertices=vertices,
            faces=body.faces.numpy(),
            colors=vertex_colors(self.avatar, vertices),
            weights=body.weights.numpy(),
            joints=self.avatar.rest_joints.numpy(),
            parents=body.parents,
            names=body.joint_names,
        )


def resting(avatar: Avatar, up: Up = "y") -> Splats:
    """The avatar's Gaussians in its rest pose: metres, facing +Z with Y up, or facing -Z with -Y up."""
    splats = Splats(
        means=avatar.means.numpy(),
        rotations=avatar.quaternions.numpy(),
        scales=avatar.log_scales.exp().numpy(),
        colors=avatar.colors.numpy(),
        opacities=avatar.opacity_logits.sigmoid().numpy(),
    )
    return splats if up == "y" else splats.turned(_TURN)


def posed(avatar: Avatar, motion: Motion, frame: int, up: Up = "y") -> Splats:
    """The Gaussians in the pose of one frame, the motion's camera at the origin, metres.

    With Y up the camera looks along -Z; with -Y up this is camera space itself. Skinning turns each Gaussian by
    the rotation nearest to its blended matrix and keeps its size.
    """
    pelvis = motion.pelvis(avatar.rest_joints[0])[frame]
    trans = torch.from_numpy(pelvis.astype(np.float32)) - avatar.rest_joints[0]
    with torch.no_grad():
        gaussians = avatar.pose(torch.from_numpy(motion.poses[frame]), trans)
    splats = Splats(
        means=gaussians.means.numpy(),
        rotations=matrix_to_quaternion(gaussians.rotations).numpy(),
        scales=gaussians.scales.numpy(),
        colors=gaussians.colors.numpy(),
        opacities=gaussians.opacities.numpy(),
    )
    return splats if up == "-y" else splats.turned(_TURN)
