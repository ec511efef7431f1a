"""One optimisation before its first step: the evidence, the settings, and what follows from them alone."""

import hashlib
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.avatar import initial
from models.avatar.alignment import with_height
from models.avatar.gaussians import Gaussians
from models.avatar.landmarks import Landmarks
from models.avatar.observations import Crops, Evidence, mask_boxes
from models.avatar.settings import OptimiserSettings
from models.avatar.split import Split
from models.avatar.surface import spread
from models.avatar.trajectory import Trajectory, scales_of
from models.body import BodyModel
from models.errors import StageError

MIN_FRAMES = 3  # usable ones, for smoothness to mean something
LEAST_PIXELS = 24  # of the person: below, poses end worse than they begin


class Task:
    """What is to be optimised, and how.

    Attributes:
        evidence, settings, device: as given.
        body: on the device.
        boxes: (T,4) of the masks in pixels, NaN where there is none.
        usable: the frames with one.
        person_size: median longer side of the boxes, pixels.
        betas: (10,) the initial shape, on the device; likely_betas: the same, or the mean if nobody has it.
    """

    def __init__(
        self, evidence: Evidence, body: BodyModel, settings: OptimiserSettings, device: torch.device
    ) -> None:
        """
        Raises:
            InputError: evidence that does not fit together.
            StageError: too few frames show the person, or they are too small.
        """
        initial.check(evidence)
        self.evidence, self.settings, self.device = evidence, settings, device
        self.body = body.to(device)
        self.boxes = mask_boxes(evidence.masks, evidence.valid)
        self.usable: list[int] = np.flatnonzero(np.isfinite(self.boxes).all(1)).tolist()
        if len(self.usable) < MIN_FRAMES:
            raise StageError(
                f"Only {len(self.usable)} frames have a usable mask of the person; {MIN_FRAMES} are needed.",
                "Look at the masks; choose another person with --person, or give masks with --masks.",
            )
        self.person_size = float(np.nanmedian((self.boxes[:, 2:] - self.boxes[:, :2]).max(1)))
        if self.person_size < LEAST_PIXELS:
            raise StageError(
                f"The person is only {self.person_size:.0f} pixels large in the pictures; "
                f"{LEAST_PIXELS} are needed.",
                "Film from nearer, or keep larger pictures (frames.max_side).",
            )
        self.betas = torch.from_numpy(evidence.betas.astype(np.float32)).to(device)
        self.likely_betas = initial.believable_shape(self.betas)
        self._scales = scales_of(settings, evidence.fps)
        self._cut: dict[tuple[int, tuple[int, ...]], Crops] = {}

    def split(self, dropped: list[int]) -> Split:
        """The usable frames but those whose mask is of somebody else, parted."""
        believed = [t for t in self.usable if t not in dropped]
        return Split.of(believed, self.settings.held_out, bool(self.settings.patience))

    def crops(self, pixels: int, frames: list[int]) -> Crops:
        """Pictures of the frames, the typical person so large; kept, since several phases share them."""
        key = (pixels, tuple(frames))
        if key not in self._cut:
            rows = np.array(frames, np.int64)
            self._cut[key] = Crops(self.evidence, self.boxes, rows, pixels, self.device)
        return self._cut[key]

    def trajectory(self, poses: Tensor, trans: Tensor, betas: Tensor) -> Trajectory:
        """The motion under optimisation, from the start's poses, trans and shape.

        The shape prior draws to the initial motion's shape, not to the mean: who estimated that saw the
        person's proportions, and they tell tall from small.
        """
        return Trajectory(poses, trans, betas, self.body, self._scales, self.likely_betas)

    def sized(self, poses: Tensor, trans: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A start with the shape that the optimisation begins with, the pelvis where it was; if the height
        is given, for a body of that height, and as much farther as it is taller."""
        shape, factor = self.likely_betas, 1.0
        if self.settings.height:
            shape, factor = with_height(self.body, shape, self.settings.height)
        before, after = (self.body.shaped_joints(b)[0] for b in (self.betas, shape))
        return poses.to(self.device), factor * (trans.to(self.device) + before) - after, shape

    def gaussians(self, count: int) -> Gaussians:
        """So many untouched ones, even over the body."""
        return Gaussians(spread(self.body, count, self.settings.seed).to(self.device))

    def landmarks(self) -> Landmarks | None:
        """The 2D landmarks of the evidence, if there are any."""
        if self.evidence.landmarks is None:
            return None
        return Landmarks(self.evidence.landmarks, self.evidence.K, self.person_size, self.device)

    def trusted_landmarks(self) -> Landmarks | None:
        """The same where they take part in the optimisation, and do not only judge it."""
        return self.landmarks() if self.settings.weights.landmarks else None

    @cached_property
    def digest(self) -> str:
        """Names the optimisation that a checkpoint belongs to, by settings and evidence; of the pictures only
        by the masks' boxes."""
        evidence = self.evidence
        digest = hashlib.sha256(f"{self.settings!r} {evidence.fps}".encode())
        motion = evidence.poses, evidence.trans, evidence.betas, evidence.K, evidence.posed, evidence.valid
        for array in (*motion, evidence.disparity, evidence.depth, evidence.landmarks, self.boxes):
            if array is not None:
                digest.update(f"{array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()
