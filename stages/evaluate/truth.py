"""The truth about a clip, as somebody measured or rendered it: docs/formats.md, "The truth"."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.avatar.scoring import View
from models.body import JOINT_COUNT, SHAPE_COUNT
from models.cameras import scale_intrinsics
from models.errors import InputError
from stages.arrays import Shape, read_arrays
from stages.frames import Frames
from stages.images import read_grey, read_image

Array = NDArray[Any]

INSIDE = 128  # of 255
OFF_BEAT = 0.25  # of the time between two rows of the truth, that a picture may lie beside its row
LENGTH_SLACK = 1.5  # rows, that a truth may be longer or shorter than the video
NEEDS = "It needs `joints_cam` (T,24,3) in metres, and `fps` or `frame`; docs/formats.md has the rest."

# What a file may hold, as `read_arrays` takes it.
TRUTH: dict[str, Shape] = {
    "joints_cam": ("T", JOINT_COUNT, 3),
    "fps": (),
    "frame": ("T",),
    "poses_cam": ("T", 3 * JOINT_COUNT),
    "trans_cam": ("T", 3),
    "betas": (SHAPE_COUNT,),
    "vertices_cam": ("F", None, 3),
    "vertices_frames": ("F",),
    "T_world_cam": ("T", 4, 4),
    "K": (3, 3),
    "width": (),
    "height": (),
}
CAMERAS: dict[str, Shape] = {
    "K": (..., 3, 3),
    "T_world_cam": ("C", 4, 4),
    "frame_indices": ("N",),
    "width": (),
    "height": (),
}


@dataclass(frozen=True, eq=False)
class Truth:
    """T true frames of one person. Camera space is OpenCV's, metres.

    Attributes:
        path: of the file.
        joints: (T,24,3) camera space.
        fps: rows a second, or None.
        frame: (T,) index into the video's pictures, or None.
        poses: (T,72), trans: (T,3), betas: (10,): the body behind the joints, or None.
        vertices: (F,V,3) in the rows `vertices_rows` (F,), or None.
        T_world_cam: (T,4,4) the camera's place in the world, or None: it is taken as still.
        masks: (T,H,W) uint8 coverage, or None.
    """

    path: Path
    joints: Array
    fps: float | None
    frame: Array | None
    poses: Array | None
    trans: Array | None
    betas: Array | None
    vertices: Array | None
    vertices_rows: Array
    T_world_cam: Array | None
    masks: Array | None

    def __len__(self) -> int:
        return len(self.joints)

    @classmethod
    def load(cls, path: Path) -> "Truth":
        """Reads and checks a truth, and `masks.npz` beside it if there is one.

        Raises:
            InputError: a file is not what it should be; names the array and what is wrong with it.
        """
        arrays = read_arrays(path, TRUTH, ("joints_cam",), NEEDS)
        if "fps" not in arrays and "frame" not in arrays:
            raise InputError(f"{path} lacks both `fps` and `frame`.", NEEDS)
        fps = float(arrays["fps"]) if "fps" in arrays else None
        if fps is not None and fps <= 0:
            raise InputError(f"{path}: `fps` is {fps:g}.", NEEDS)
        frame = arrays.get("frame")
        rows, vertices = _vertices(path, arrays)
        masks = path.with_name("masks.npz")
        return cls(
            path=path,
            joints=arrays["joints_cam"],
            fps=fps,
            frame=None if frame is None else _whole(path, "frame", frame),
            poses=arrays.get("poses_cam"),
            trans=arrays.get("trans_cam"),
            betas=arrays.get("betas"),
            vertices=vertices,
            vertices_rows=rows,
            T_world_cam=arrays.get("T_world_cam"),
            masks=_masks(masks, len(arrays["joints_cam"])) if masks.exists() else None,
        )

    def rows(self, frames: Frames) -> tuple[NDArray[np.int64], str]:
        """Which row is true of each kept picture, -1 where none is; and how that was found.

        Raises:
            InputError: the truth is of another length than the video, or of another part of it.
        """
        index, times = frames.source_index, frames.times
        if self.frame is not None:
            found = {int(number): row for row, number in enumerate(self.frame)}
            rows = np.array([found.get(int(i), -1) for i in index], np.int64)
            how = "by the truth's frame numbers"
        elif len(self) == frames.source_frames:
            rows, how = index.astype(np.int64), "by frame number"
        else:
            rows, how = self._rows_by_time(frames, times), "by time"
        if (rows < 0).all():
            raise InputError(
                f"{self.path}: no row of the truth belongs to a picture that was kept.",
                "Check that it is of this video; `frame` says which picture each row is of.",
            )
        return rows, how

    def _rows_by_time(self, frames: Frames, times: Array) -> NDArray[np.int64]:
        index = frames.source_index
        step = (times[-1] - times[0]) / max(index[-1] - index[0], 1) if len(times) > 1 else 0.0
        seconds = frames.source_frames * step
        if self.fps is None or abs(len(self) - seconds * self.fps) > LENGTH_SLACK:
            rate = f" at {self.fps:g} a second" if self.fps else ""
            raise InputError(
                f"{self.path} has {len(self)} rows{rate}, "
                f"the video {frames.source_frames} pictures in {seconds:.2f} s.",
                "Give the truth of this video, or say with `frame` which picture each row is of.",
            )
        beat = times * self.fps
        rows = np.round(beat).astype(np.int64)
        return np.where((np.abs(beat - rows) <= OFF_BEAT) & (rows < len(self)), rows, -1)

    def mask(self, row: int, width: int, height: int) -> NDArray[np.uint8]:
        """The true coverage (height, width) in one row; `masks` must be there."""
        assert self.masks is not None
        mask = np.ascontiguousarray(self.masks[row])
        if mask.shape == (height, width):
            return mask
        return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA))

    def views(self, folder: Path) -> list[View]:
        """The pictures of other cameras, `camC_frameNNN.png`, in this truth's poses.

        Raises:
            InputError: the folder lacks a picture, or the truth the poses that the avatar needs.
        """
        path = folder / "cameras.npz"
        data = read_arrays(path, CAMERAS, ("K", "T_world_cam", "frame_indices"), NEEDS)
        shape = data["T_world_cam"][:, :3, :3].shape
        if data["K"].shape not in (shape, (3, 3)):
            raise InputError(f"{path}: `K` has shape {data['K'].shape}, expected (3, 3) or {shape}.", NEEDS)
        K = np.broadcast_to(data["K"], shape)
        if self.poses is None:
            raise InputError(f"{self.path} lacks `poses_cam`, which novel views need.", NEEDS)
        rows = _whole(path, "frame_indices", data["frame_indices"], len(self))
        still = np.broadcast_to(np.eye(4), (len(self), 4, 4))
        places = still if self.T_world_cam is None else self.T_world_cam
        found = []
        for camera, place in enumerate(data["T_world_cam"]):
            for row in rows:
                image, mask = _pictured(folder / f"cam{camera}_frame{row:03d}.png")
                found.append(
                    View(
                        image=image,
                        mask=mask,
                        K=_fitted(K[camera], data, image),
                        pose=self.poses[row],
                        pelvis=self.joints[row, 0],
                        T_cam_world=np.linalg.inv(place) @ places[row],
                    )
                )
        return found


def pose_views(folder: Path) -> list[View]:
    """The pictures `poseN.png` of poses that the clip does not show, seen by the clip's camera.

    Raises:
        InputError: the folder lacks a picture, or its `gt.npz` an array.
    """
    path = folder / "gt.npz"
    data = read_arrays(path, TRUTH, ("joints_cam", "poses_cam", "K"), NEEDS)
    found = []
    for number, (pose, joints) in enumerate(zip(data["poses_cam"], data["joints_cam"], strict=True)):
        image, mask = _pictured(folder / f"pose{number}.png")
        found.append(View(image, mask, _fitted(data["K"], data, image), pose, joints[0]))
    return found


def _vertices(path: Path, arrays: Mapping[str, Array]) -> tuple[NDArray[np.int64], Array | None]:
    """The rows whose vertices are known, and these."""
    vertices, count = arrays.get("vertices_cam"), len(arrays["joints_cam"])
    if vertices is None:
        return np.zeros(0, np.int64), None
    if "vertices_frames" in arrays:
        return _whole(path, "vertices_frames", arrays["vertices_frames"], count), vertices
    if len(vertices) != count:
        raise InputError(
            f"{path}: `vertices_cam` has {len(vertices)} of {count} rows and `vertices_frames` is not there.",
            "`vertices_frames` (F,) says which rows they are.",
        )
    return np.arange(count), vertices


def _whole(path: Path, name: str, values: Array, count: int | None = None) -> NDArray[np.int64]:
    """Indices, below `count` if it is given."""
    rows = values.astype(np.int64)
    if not np.array_equal(rows, values) or rows.min() < 0 or (count is not None and rows.max() >= count):
        limit = "up" if count is None else f"to {count - 1}"
        raise InputError(f"{path}: `{name}` must be whole numbers from 0 {limit}.", NEEDS)
    return rows


def _masks(path: Path, count: int) -> Array:
    advice = f"It needs `masks` ({count}, H, W) uint8, one for each row of the truth."
    masks = read_arrays(path, {"masks": (count, None, None)}, ("masks",), advice)["masks"]
    if masks.dtype != np.uint8:
        raise InputError(f"{path}: `masks` is not of the type uint8.", advice)
    return masks


def _pictured(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture and its mask, NAME.png and NAME_mask.png."""
    beside = path.with_name(f"{path.stem}_mask.png")
    try:
        image, mask = read_image(path), read_grey(beside)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"{path} or its mask cannot be used: {reason}.", "docs/formats.md says what these folders hold."
        ) from error
    if mask.shape != image.shape[:2] or not (mask >= INSIDE).any():
        raise InputError(f"{beside} is empty or not of the size of its picture.", "Give the person's mask.")
    return image, mask


def _fitted(K: Array, data: Mapping[str, Array], image: Array) -> Array:
    """K of the size that the file names, for a picture that may have another one."""
    height, width = image.shape[:2]
    if "width" not in data or "height" not in data:
        return K
    return scale_intrinsics(K, width / float(data["width"]), height / float(data["height"]))
