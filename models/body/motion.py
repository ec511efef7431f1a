"""The motion file: a person's SMPL poses in camera space, frame by frame (docs/architecture.md)."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from models.body.body import JOINT_COUNT, SHAPE_COUNT, BodyKind, BodyModel, load_embedded_body
from models.body.transfer import SMPL_PELVIS, SMPL_STATURE, shape_of_stature, stature, usual_stature
from models.cameras import Camera, scale_intrinsics
from models.errors import InputError
from models.npz import Unreadable, read_npz

Array = NDArray[Any]

REQUIRED = ("poses", "trans", "betas", "K")
LARGEST_ANGLE = 4 * np.pi
"""Radians. No joint turns further even when its angle is unwrapped over time; degrees in a file soon do."""
LARGEST_SIDE = 2**15  # pixels
RATES = (1e-3, 1e4)  # frames a second, from a time lapse's to a high-speed camera's


@dataclass(frozen=True, eq=False)
class Motion:
    """T frames of one person. Camera space is OpenCV's: x right, y down, z forward, metres.

    Attributes:
        poses: (T, 72) float32, axis-angle radians, joint 0 the whole body's orientation in camera space.
        trans: (T, 3) float32 metres, added to the body posed about its rest pelvis, as in smplx.
        betas: (10,) float32, the shape.
        K: (3, 3) float64, intrinsics in pixels of the source video, pixel centres at +0.5.
        frame: (T,) int64, rising index into the source video.
        fps: frames per second of this motion.
        width, height: the source video's, pixels.
        body: the body that `betas` and `trans` speak of.
        valid: (T,) bool, where the person was seen.
        joints: (T, 24, 3) float32 metres in camera space, or None where nobody said.
    """

    poses: Array
    trans: Array
    betas: Array
    K: Array
    frame: Array
    fps: float
    width: int
    height: int
    body: BodyKind
    valid: Array
    joints: Array | None = None

    def __len__(self) -> int:
        return len(self.poses)

    def intrinsics(self, width: int, height: int) -> Array:
        """K (3, 3) for the source's pictures resized to this size."""
        return scale_intrinsics(self.K, width / self.width, height / self.height)

    def camera(self) -> Camera:
        """The source video's camera, in whose space the motion is."""
        return Camera(self.K, self.width, self.height)

    def pelvis(self, rest_pelvis: ArrayLike) -> Array:
        """Where the pelvis is, (T, 3) float64 metres in camera space.

        Args:
            rest_pelvis: (3,) of the skeleton that is driven. It counts where the motion's own joints are not
                known: `trans` is then taken as of that skeleton.
        """
        if self.joints is not None:
            return np.asarray(self.joints[:, 0], np.float64)
        return self.trans + np.asarray(rest_pelvis, np.float64)

    def rest_pelvis(self) -> Array:
        """(3,) metres, of the motion's own body and shape; of SMPL's, which is not here, the mean one's."""
        if self.body == "smpl":
            return SMPL_PELVIS
        own = load_embedded_body()
        return own.shaped_joints(_like(own, self.betas))[0].double().numpy()

    def require(self, body: BodyModel) -> None:
        """Raises InputError where the motion speaks of another body."""
        if self.body != body.kind:
            raise InputError(
                f"The motion is of the {self.body} body, but this stage has the {body.kind} one.",
                "Give the SMPL model with --body for a motion of SMPL's, and leave it out for others.",
            )

    def save(self, path: Path) -> None:
        """Writes the motion file, an npz."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        with path.open("wb") as file:
            np.savez_compressed(file, **{name: value for name, value in arrays.items() if value is not None})

    @classmethod
    def load(cls, path: Path, body: BodyKind = "embedded", fps: float = 30.0) -> "Motion":
        """Reads and checks a motion file, ours or one made elsewhere.

        It needs `poses`, `trans`, `betas` and `K`. Of the rest, what is missing becomes: `frame` 0, 1, 2 ...;
        `valid` true; `width` and `height` twice the principal point; `joints` None; `fps` and `body` the
        arguments.

        Raises:
            InputError: the file is not such a file; the message names the field and what is wrong with it.
        """
        return _Reader(path).motion(body, fps)


def retarget(motion: Motion, body: BodyModel, betas: Array | None = None) -> Motion:
    """The motion for a body of another kind or shape: the poses stay, and so does the pelvis.

    The pelvis is where `motion.joints` says, else where the motion's own body and shape put it; of SMPL's own
    body, which is not here, the mean one does.

    Args:
        motion: stays as it is.
        body: the body to drive.
        betas: (10,) its shape; the motion's own when it is of the same kind, otherwise an average one of the
            same stature.

    Returns:
        A motion whose `trans`, `betas`, `body` and `joints` are the new body's.
    """
    if betas is None:
        same_kind = motion.body == body.kind
        betas = motion.betas if same_kind else shape_of_stature(body, _stature(motion)).cpu().numpy()
    shape = _like(body, betas)
    pelvis = motion.pelvis(_rest_pelvis(motion, body))
    trans = _like(body, pelvis) - body.shaped_joints(shape)[0]
    with torch.no_grad():
        joints = body.articulate(_like(body, motion.poses), trans, shape)[1]
    return replace(
        motion,
        trans=trans.cpu().numpy().astype(np.float32),
        betas=np.asarray(betas, np.float32),
        body=body.kind,
        joints=joints.cpu().numpy().astype(np.float32),
    )


class _Reader:
    """One motion file on its way to being trusted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.arrays = self._arrays()

    def motion(self, body: BodyKind, fps: float) -> Motion:
        missing = [name for name in REQUIRED if name not in self.arrays]
        if missing:
            raise self._refusal(f"lacks {', '.join(missing)}")
        poses = self._poses()
        count = len(poses)
        camera = self._camera()
        has = self.arrays.__contains__
        return Motion(
            poses=poses,
            trans=self._numbers("trans", (count, 3)),
            betas=self._numbers("betas", (SHAPE_COUNT,)),
            K=camera,
            frame=self._frame(count) if has("frame") else np.arange(count),
            fps=self._within("fps", *RATES) if has("fps") else fps,
            width=self._side("width", camera[0, 2]),
            height=self._side("height", camera[1, 2]),
            body=self._body() if has("body") else body,
            valid=self._valid(count) if has("valid") else np.ones(count, bool),
            joints=self._numbers("joints", (count, JOINT_COUNT, 3)) if has("joints") else None,
        )

    def _arrays(self) -> dict[str, Array]:
        known = {field.name for field in fields(Motion)}
        try:
            return read_npz(self.path, known)
        except OSError as error:
            raise self._refusal(f"cannot be read: {error.strerror or error}") from error
        except Unreadable as error:
            raise self._refusal(f"is not a plain npz file ({error})") from error

    def _poses(self) -> Array:
        shape = self.arrays["poses"].shape
        if len(shape) != 2 or shape[0] == 0:
            raise self._refusal(f"has poses of shape {shape}, expected (T, {3 * JOINT_COUNT}) with T above 0")
        poses = self._numbers("poses", (shape[0], 3 * JOINT_COUNT))
        angles = np.linalg.norm(poses.reshape(-1, JOINT_COUNT, 3), axis=-1)
        if angles.max() > LARGEST_ANGLE:
            frame, joint = np.unravel_index(angles.argmax(), angles.shape)
            raise self._refusal(
                f"turns joint {joint} by {angles.max():.1f} radians in frame {frame}; are these degrees?"
            )
        return poses

    def _camera(self) -> Array:
        camera = self._numbers("K", (3, 3), np.float64)
        try:
            Camera(camera, 1, 1)
        except ValueError as error:
            raise self._refusal(f"has a K that is no camera: {error}") from error
        if not (camera[0, 2] > 0 and camera[1, 2] > 0):
            raise self._refusal("has a K whose principal point lies outside the picture")
        return camera

    def _frame(self, count: int) -> Array:
        frame = self._numbers("frame", (count,), np.float64)
        with np.errstate(invalid="ignore"):  # what no integer can be is not whole
            whole = frame.astype(np.int64)
        if not np.array_equal(whole, frame) or whole[0] < 0 or (np.diff(whole) <= 0).any():
            raise self._refusal("has a frame index that is not whole, from 0 up and rising")
        return whole

    def _valid(self, count: int) -> Array:
        valid = self._numbers("valid", (count,), np.float64)
        if not np.isin(valid, (0, 1)).all():
            raise self._refusal("has a valid flag that is neither true nor false")
        return valid.astype(bool)

    def _side(self, name: str, principal: float) -> int:
        """A side of the picture; twice the principal point where the file has none."""
        if name not in self.arrays:
            self.arrays[name] = np.array(2 * principal)
        return round(self._within(name, 1, LARGEST_SIDE))

    def _within(self, name: str, least: float, most: float) -> float:
        value = float(self._numbers(name, (), np.float64))
        if not least <= value <= most:
            raise self._refusal(f"has {name} {value:g}, expected {least:g} to {most:g}")
        return value

    def _body(self) -> BodyKind:
        value = self.arrays["body"]
        if value.shape != () or str(value) not in get_args(BodyKind):
            raise self._refusal(f"has an unknown body, expected one of {', '.join(get_args(BodyKind))}")
        return str(value)  # type: ignore[return-value]

    def _numbers(self, name: str, shape: tuple[int, ...], dtype: type = np.float32) -> Array:
        value = self.arrays[name]
        if value.dtype.kind not in "fiub":
            raise self._refusal(f"has {name} of type {value.dtype}, expected numbers")
        if value.shape != shape:
            raise self._refusal(f"has {name} of shape {value.shape}, expected {shape}")
        with np.errstate(over="ignore"):  # what overflows is infinite, so no number
            numbers: Array = value.astype(dtype)
        if not np.isfinite(numbers).all():
            first = np.argwhere(~np.isfinite(numbers))[0].tolist()
            raise self._refusal(f"has {name} with values that are no numbers, the first at {first}")
        return numbers

    def _refusal(self, problem: str) -> InputError:
        return InputError(
            f"Motion file {self.path} {problem}.",
            "It must hold poses (T,72) in radians, trans (T,3) in metres, betas (10,), K (3,3), all finite.",
        )


def _rest_pelvis(motion: Motion, body: BodyModel) -> Array:
    """(3,) of the motion's own body, which may not be the one at hand."""
    if motion.body != body.kind:
        return motion.rest_pelvis()
    return body.shaped_joints(_like(body, motion.betas))[0].double().cpu().numpy()


def _stature(motion: Motion) -> float:
    """Metres from the ankles to the neck of the motion's own body."""
    if motion.joints is not None:
        return usual_stature(motion.joints)
    if motion.body == "smpl":
        return SMPL_STATURE
    own = load_embedded_body()
    return float(stature(own.shaped_joints(_like(own, motion.betas))))


def _like(body: BodyModel, array: Array) -> torch.Tensor:
    return torch.as_tensor(array).to(body.v_template)
