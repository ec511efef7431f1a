"""What files of other programs are made of: the avatar's Gaussians at rest or posed, and the body's mesh."""

from collections.abc import Mapping, Sequence
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
from models.cameras import Camera
from models.errors import StageError
from models.formats import SkinnedMesh, Splats
from models.formats.bvh import HALF_TURN
from stages.frames import Frames
from stages.render.planning import Take

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
        size: width and height of the working pictures.
        body_file: SMPL's, where the motion is of that body.
    """

    avatar: Avatar
    motion: Motion
    times: NDArray[np.float64]
    size: tuple[int, int]
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
        size = (frames.width, frames.height)
        return cls(avatar, motion, frames.times - frames.times[0], size, body_file)

    def splats(self, frame: int | None, up: Up) -> Splats:
        """The Gaussians at rest, or in the pose of a frame; see `resting` and `posed`."""
        return resting(self.avatar, up) if frame is None else posed(self.avatar, self.motion, frame, up)

    def take(self, frames: Sequence[int]) -> Take:
        """These frames as the clip's camera saw them, in the size of the working pictures."""
        width, height = self.size
        camera = Camera(self.motion.intrinsics(width, height), width, height)
        trans = self.avatar.trans_for(self.motion).numpy()
        chosen = list(frames)
        return Take("", self.motion.poses[chosen], trans[chosen], [camera] * len(chosen), self.motion.fps)

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


def axes(frame: int | None, up: Up) -> str:
    """Pose, unit and axes of what `Content.splats` gives, for a file's header."""
    rest = {"y": "Y up, facing +Z, the person's left towards +X", "-y": "-Y up, facing -Z, left towards +X"}
    seen = {"y": "Y up, the camera at the origin looks along -Z", "-y": "camera space: Y down, Z forward"}
    return (
        f"rest pose (T-pose), metres, {rest[up]}" if frame is None else f"frame {frame}, metres, {seen[up]}"
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

    With Y up the camera looks along -Z; with -Y up this is camera space itself. Skinning turns each Gaussian
    by the rotation nearest to its blended matrix and keeps its size.
    """
    with torch.no_grad():
        gaussians = avatar.pose(motion.poses[frame], avatar.trans_for(motion)[frame])
    splats = Splats(
        means=gaussians.means.numpy(),
        rotations=matrix_to_quaternion(gaussians.rotations).numpy(),
        scales=gaussians.scales.numpy(),
        colors=gaussians.colors.numpy(),
        opacities=gaussians.opacities.numpy(),
    )
    return splats if up == "-y" else splats.turned(_TURN)
