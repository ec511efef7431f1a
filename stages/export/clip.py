"""One clip as the earlier stages left it, and the pictures that can be drawn of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models import drawing
from models.avatar import Avatar
from models.body import BodyModel, Motion
from models.cameras import Camera
from models.drawing import Image
from models.errors import StageError
from stages.frames import Frames
from stages.images import numbered, read_grey

Array = NDArray[np.floating]

_REGIONS_KEPT = 600  # of both motions, a bit a pixel


@dataclass(frozen=True, eq=False)
class Clip:
    """T frames, the motion before and after the optimisation, and the avatar.

    Attributes:
        frames: the working pictures.
        masks_folder: the published folder of the stage masks.
        initial, refined: motions of the same T frames.
        avatar: of the refined motion.
        body: that the motions speak of.
    """

    frames: Frames
    masks_folder: Path
    initial: Motion
    refined: Motion
    avatar: Avatar
    body: BodyModel

    @classmethod
    def load(cls, inputs: Mapping[str, Path], body: BodyModel) -> "Clip":
        """Reads the folders of frames, poses, masks and optimize.

        Raises:
            InputError: the motion is another body's.
            StageError: the motions are not of the frames.
        """
        clip = cls(
            frames=Frames.load(inputs["frames"]),
            masks_folder=inputs["masks"],
            initial=Motion.load(inputs["poses"] / "motion.npz"),
            refined=Motion.load(inputs["optimize"] / "motion.npz"),
            avatar=Avatar.load(inputs["optimize"] / "avatar.npz"),
            body=body,
        )
        clip.refined.require(body)
        lengths = {len(clip.frames), len(clip.initial), len(clip.refined)}
        if len(lengths) > 1:
            raise StageError(
                f"The stages disagree about the number of frames: {sorted(lengths)}.",
                "Run again with --redo poses.",
            )
        return clip

    @cached_property
    def seen(self) -> NDArray[np.intp]:
        """Indices of the frames that show the person."""
        return np.flatnonzero(self.refined.valid)

    @cached_property
    def K(self) -> NDArray[np.float64]:
        """(3, 3) the refined motion's intrinsics for the working pictures."""
        return self.intrinsics(self.refined)

    def intrinsics(self, motion: Motion) -> NDArray[np.float64]:
        """(3, 3) a motion's intrinsics for the working pictures."""
        return motion.intrinsics(self.frames.width, self.frames.height)

    def mask(self, index: int) -> Image:
        """(H, W) coverage of the person in one frame, 255 inside."""
        return read_grey(numbered(self.masks_folder, index))

    def body_region(self, motion: Motion, index: int) -> Image:
        """(H, W) the region that the body of one frame covers, 255 inside."""
        width = self.frames.width
        return np.unpackbits(self._packed_region(motion, index), axis=1, count=width) * np.uint8(255)

    @cached_property
    def _packed_region(self) -> Callable[[Motion, int], Image]:
        """Regions as rows of bits, the latest of them remembered: videos, figures and report ask for them."""

        def packed(motion: Motion, index: int) -> Image:
            return np.packbits(self._drawn_region(motion, index) > 0, axis=1)

        return lru_cache(maxsize=_REGIONS_KEPT)(packed)

    def _drawn_region(self, motion: Motion, index: int) -> Image:
        return drawing.silhouette(
            self.body_vertices(motion, index),
            self.body.faces.numpy(),
            self.intrinsics(motion),
            self.frames.width,
            self.frames.height,
        )

    @torch.no_grad()
    def body_vertices(self, motion: Motion, index: int) -> NDArray[np.float32]:
        """(V, 3) the body of one frame, camera space."""
        posed = self.body.pose(
            torch.from_numpy(motion.poses[index : index + 1]),
            torch.from_numpy(motion.trans[index : index + 1]),
            torch.from_numpy(motion.betas),
        )
        return posed.vertices[0].numpy()

    def pelvises(self, motion: Motion) -> NDArray[np.float64]:
        """(T, 3) the pelvis of every frame, camera space."""
        return np.asarray(motion.pelvis(self.avatar.rest_joints[0].numpy()), np.float64)

    def pelvis(self, index: int) -> NDArray[np.float64]:
        """(3,) the refined pelvis, camera space."""
        return self.pelvises(self.refined)[index]

    def render(
        self,
        index: int,
        K: Array,
        width: int,
        height: int,
        T_cam_world: Array | None = None,
        motion: Motion | None = None,
    ) -> tuple[Array, Array]:
        """The avatar in the pose of one frame, of the refined motion unless another is given: colour
        (H, W, 3) premultiplied, and alpha (H, W)."""
        motion = motion or self.refined
        trans = self.pelvises(motion)[index] - self.avatar.rest_joints[0].numpy()
        return render_avatar(self.avatar, motion.poses[index], trans, Camera(K, width, height, T_cam_world))


@torch.no_grad()
def render_avatar(avatar: Avatar, poses: Array, trans: Array, camera: Camera) -> tuple[Array, Array]:
    """The avatar in one pose, drawn on the CPU: colour (H, W, 3) premultiplied, and alpha (H, W)."""
    picture = avatar.pose(poses, trans).render(camera).numpy()
    return picture[..., :3], picture[..., 3]


def evenly(values: Sequence[int] | NDArray[np.intp], count: int) -> list[int]:
    """At most `count` of the values, evenly spread, the first and the last among them."""
    if len(values) <= count:
        return [int(value) for value in values]
    return [int(values[i]) for i in np.linspace(0, len(values) - 1, count).round().astype(int)]
