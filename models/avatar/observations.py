"""What the video says: the evidence as it comes in, and the crops around the person that the losses see."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.errors import StageError
from models.rasterizer import shares_of_pixels

INSIDE = 128  # of 255: a pixel of the mask counts as the person's
CROP_MARGIN = 0.12  # of the box' larger side, on every side
SMALLEST_BOX = 8  # pixels; a mask smaller than this is no person
EROSION = 2  # pixels of the mask's edge where depth maps are not trusted
LARGEST_SHARE = 0.95  # of the picture; a mask larger than this is no person


@dataclass(frozen=True)
class Evidence:
    """Everything known about T frames, before and apart from any avatar.

    Attributes:
        images: T pictures, (H,W,3) uint8 RGB; may be read lazily.
        masks: T coverages of the person, (H,W) uint8, 255 inside; may be read lazily.
        K: (3,3) intrinsics of these pictures.
        fps: frames per second.
        valid: (T,) bool, frames in which the person is seen and the mask can be trusted.
        poses: (T,72), trans: (T,3), betas: (10,): the initial motion in camera space.
        posed: (T,) bool, frames whose initial pose is an estimate.
        disparity: (T,h,w) relative inverse depth of unknown scale and shift, or None. 0 or NaN = unknown.
        depth: (T,h,w) metres along the optical axis, or None. 0 or NaN = unknown.
        landmarks: (P,T,33,3) BlazePose landmarks of P passes: x, y in pixels and visibility, or None.
    """

    images: Sequence[NDArray[np.uint8]]
    masks: Sequence[NDArray[np.uint8]]
    K: NDArray[np.float64]
    fps: float
    valid: NDArray[np.bool_]
    poses: NDArray[np.float32]
    trans: NDArray[np.float32]
    betas: NDArray[np.float32]
    posed: NDArray[np.bool_]
    disparity: NDArray[np.floating] | None = None
    depth: NDArray[np.floating] | None = None
    landmarks: NDArray[np.floating] | None = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Crop:
    """One frame around the person, at a working resolution; or B of them, with B in front of every shape.

    Attributes:
        image: (h,w,3) uint8. mask: (h,w) uint8.
        K: (3,3) intrinsics of the crop.
        depth: (h,w) float32 in the evidence's own unit, 0 = unknown; None without depth.
        trusted: (h,w) bool, where depth is known and well inside the mask; None without depth.
        sizes: of B pictures of different sizes, height and width: beyond, they are filled up with zeros.
    """

    image: Tensor
    mask: Tensor
    K: Tensor
    depth: Tensor | None
    trusted: Tensor | None
    sizes: tuple[tuple[int, int], ...] | None = None

    @property
    def width(self) -> int:
        return self.image.shape[-2]

    @property
    def height(self) -> int:
        return self.image.shape[-3]

    def coverage(self) -> Tensor:
        """The mask (h,w) in [0, 1]."""
        return self.mask.float() / 255

    def color(self) -> Tensor:
        """The picture (h,w,3) in [0, 1]."""
        return self.image.float() / 255

    def mean(self, values: Tensor) -> Tensor:
        """The mean of values (B,h,w) or (B,h,w,C) over the frames of each one's mean over its pixels."""
        if self.sizes is None:
            return values.mean()
        per_pixel = values if values.ndim == 3 else values.mean(-1)
        return (per_pixel * self._shares).sum()

    @cached_property
    def _shares(self) -> Tensor:
        assert self.sizes is not None
        return shares_of_pixels(self.sizes, self.height, self.width, self.image.device)


def together(crops: Sequence[Crop]) -> Crop:
    """Several frames' crops as one, the smaller ones filled up at their right and lower edges."""
    sizes = tuple((crop.height, crop.width) for crop in crops)

    def joined(tensors: list[Tensor]) -> Tensor:
        if len(tensors) == 1:
            return tensors[0][None]
        if len(set(sizes)) == 1:
            return torch.stack(tensors)
        height, width = (max(size) for size in zip(*sizes, strict=True))
        filled = tensors[0].new_zeros(len(tensors), height, width, *tensors[0].shape[2:])
        for row, tensor in zip(filled, tensors, strict=True):
            row[: tensor.shape[0], : tensor.shape[1]] = tensor
        return filled

    with_depth = crops[0].depth is not None
    return Crop(
        image=joined([crop.image for crop in crops]),
        mask=joined([crop.mask for crop in crops]),
        K=torch.stack([crop.K for crop in crops]),
        depth=joined([crop.depth for crop in crops if crop.depth is not None]) if with_depth else None,
        trusted=joined([crop.trusted for crop in crops if crop.trusted is not None]) if with_depth else None,
        sizes=sizes if len(set(sizes)) > 1 else None,
    )


def mask_boxes(masks: Sequence[NDArray[np.uint8]], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Boxes (T,4) of the masks, x0 y0 x1 y1 in pixels; NaN where there is no usable mask.

    A mask that is empty, tiny, or fills the picture says nothing about the person.
    """
    boxes = np.full((len(valid), 4), np.nan)
    for t in np.flatnonzero(valid).tolist():
        inside = masks[t] >= INSIDE
        if not inside.any() or inside.mean() > LARGEST_SHARE:
            continue
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
        if min(box[2:] - box[:2]) >= SMALLEST_BOX:
            boxes[t] = box
    return boxes


class Crops:
    """The usable frames cut around the person, the person `pixels` large in the typical frame."""

    def __init__(
        self,
        evidence: Evidence,
        boxes: NDArray[np.float64],
        frames: NDArray[np.int64],
        pixels: int,
        device: torch.device,
    ) -> None:
        """
        Args:
            boxes: (T,4) as `mask_boxes` gives.
            frames: those to prepare; their boxes must be finite.
            pixels: size in the crops of the larger side of the box, at its upper quartile over the clip.

        Raises:
            StageError: a crop cannot be made, since no frame is usable.
        """
        if not len(frames):
            raise StageError(
                "No frame shows the person clearly enough to learn from.", "Film the whole person."
            )
        sizes = (boxes[frames, 2:] - boxes[frames, :2]).max(1)
        self.scale = min(1.0, pixels / float(np.percentile(sizes, 75)))
        self.frames = frames
        self.device = device
        self._crops = {int(t): self._cut(evidence, boxes[t], int(t)) for t in frames}

    def __getitem__(self, frame: int) -> Crop:
        return self._crops[frame]

    def _cut(self, evidence: Evidence, box: NDArray[np.float64], t: int) -> Crop:
        image, mask = evidence.images[t], evidence.masks[t]
        height, width = mask.shape
        margin = CROP_MARGIN * (box[2:] - box[:2]).max()
        x0, y0 = np.floor(np.maximum(box[:2] - margin, 0)).astype(int)
        x1, y1 = np.ceil(np.minimum(box[2:] + margin, (width, height))).astype(int)
        size = max(round((x1 - x0) * self.scale), 16), max(round((y1 - y0) * self.scale), 16)
        zoom = np.array([size[0] / (x1 - x0), size[1] / (y1 - y0)])
        K = evidence.K.copy()
        K[:2, 2] -= (x0, y0)
        K[:2] *= zoom[:, None]
        small_mask = _resized(mask[y0:y1, x0:x1], size)
        depth = evidence.disparity if evidence.disparity is not None else evidence.depth
        small_depth = trusted = None
        if depth is not None:
            small_depth = _depth_crop(depth[t], (x0, y0, x1, y1), (width, height), size)
            trusted = _eroded(small_mask >= INSIDE) & (small_depth > 0)
        return Crop(
            image=self._tensor(_resized(image[y0:y1, x0:x1], size)),
            mask=self._tensor(small_mask),
            K=torch.tensor(K, dtype=torch.float32, device=self.device),
            depth=None if small_depth is None else self._tensor(small_depth),
            trusted=None if trusted is None else self._tensor(trusted),
        )

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def _resized(image: NDArray, size: tuple[int, int]) -> NDArray:
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)


def _eroded(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask without its edge, where a depth map is a mix of person and background."""
    element = np.ones((2 * EROSION + 1, 2 * EROSION + 1), np.uint8)
    return cv2.erode(inside.astype(np.uint8), element, borderValue=1).astype(bool)


def _depth_crop(
    depth: NDArray, box: tuple[int, int, int, int], picture: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.float32]:
    """The map (h',w'), which covers the whole picture, sampled at the crop's pixel centres; 0 = unknown.

    Unknown pixels would bleed into their neighbours by interpolation, so the nearest sample is taken.
    """
    rows = (box[1] + (np.arange(size[1]) + 0.5) * (box[3] - box[1]) / size[1]) * depth.shape[0] / picture[1]
    columns = (
        (box[0] + (np.arange(size[0]) + 0.5) * (box[2] - box[0]) / size[0]) * depth.shape[1] / picture[0]
    )
    sampled = depth[np.ix_(rows.astype(int), columns.astype(int))].astype(np.float32)
    return np.where(np.isfinite(sampled) & (sampled > 0), sampled, 0)
