"""The errors of a motion against the truth, by measure, frame and joint."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.body import JOINT_NAMES, BodyModel, Motion
from models.metrics import pose
from stages.evaluate.truth import Truth

Array = NDArray[np.floating]
Indices = NDArray[np.signedinteger]

UNITS = {
    "mpjpe": "mm, pelvis aligned",
    "pa_mpjpe": "mm, similarity aligned in every frame",
    "pve": "mm, vertices, pelvis aligned",
    "camera_mpjpe": "mm, camera space, nothing aligned",
    "camera_mpjpe_scaled": "mm, camera space, one scale for the clip removed",
    "root_error": "mm, pelvis in camera space",
    "acceleration_error": "mm per frame squared",
}
"""Every measure; docs/formats.md defines them."""

_SAME_BODY = 1e-3  # metres between the truth's points and our body's in the truth's poses
_CHUNK = 32  # frames whose vertices are held at once


@dataclass(frozen=True, eq=False)
class Errors:
    """One motion's errors in the F frames that the truth has a row for.

    Attributes:
        joints: by measure (F, 24) mm; NaN for accelerations that have no neighbours.
        vertices: (F,) mm, the mean over the mesh; NaN where the truth has no vertices.
        scale: what the motion was multiplied by for `camera_mpjpe_scaled`.
    """

    joints: dict[str, Array]
    vertices: Array
    scale: float

    def per_frame(self) -> dict[str, Array]:
        """(F,) by measure."""
        found = {name: _mean(values, axis=1) for name, values in self.joints.items()}
        found["root_error"] = self.joints["camera_mpjpe"][:, 0]
        found["pve"] = self.vertices
        return {name: found[name] for name in UNITS}

    def summary(self, frames: NDArray[np.bool_] | None = None) -> dict[str, float]:
        """The mean of each measure over all frames, or some (F,); NaN where there is nothing."""
        chosen = slice(None) if frames is None else frames
        return {name: float(_mean(values[chosen])) for name, values in self.per_frame().items()}

    def per_joint(self) -> dict[str, dict[str, float]]:
        """The mean over frames by measure and joint."""
        return {
            name: dict(zip(JOINT_NAMES, _mean(values, axis=0).tolist(), strict=True))
            for name, values in self.joints.items()
        }


class Comparison:
    """The truth beside the kept pictures of one clip."""

    def __init__(self, truth: Truth, rows: NDArray[np.int64], body: BodyModel) -> None:
        """
        Args:
            rows: (T,) the truth's row for every frame of the motions, -1 for none.
            body: of the motions.
        """
        self.truth, self.body = truth, body
        self.frames = np.flatnonzero(rows >= 0)
        self.rows = rows[self.frames]
        self._vertices, self.vertices_note = self._true_vertices()

    def errors(self, motion: Motion) -> Errors:
        """A motion's errors, its joints and vertices those of its own body and shape."""
        joints = self._joints(motion)
        truth = self.truth.joints[self.rows]
        found = {
            "mpjpe": pose.mpjpe_errors(joints, truth),
            "pa_mpjpe": pose.pa_mpjpe_errors(joints, truth),
            "camera_mpjpe": pose.global_mpjpe_errors(joints, truth),
            "camera_mpjpe_scaled": pose.scaled_global_mpjpe_errors(joints, truth),
            "acceleration_error": self._accelerations(joints, truth),
        }
        return Errors(found, self._vertex_errors(motion), pose.best_scale(joints, truth))

    def _joints(self, motion: Motion) -> Array:
        poses, trans, betas = self._tensors(motion, self.frames)
        with torch.no_grad():
            return self.body.articulate(poses, trans, betas)[1].numpy().astype(np.float64)

    def _accelerations(self, joints: Array, truth: Array) -> Array:
        """(F,24), NaN in frames without a neighbour on both sides at the same distance in the truth."""
        errors = np.full(joints.shape[:2], np.nan)
        if len(joints) < 3:
            return errors
        even = (np.diff(self.frames, 2) == 0) & (np.diff(self.rows, 2) == 0) & (np.diff(self.frames)[1:] == 1)
        errors[1:-1][even] = pose.acceleration_errors(joints, truth)[even]
        return errors

    def _vertex_errors(self, motion: Motion) -> Array:
        errors = np.full(len(self.frames), np.nan)
        if self._vertices is None:
            return errors
        for part, true_vertices in self._vertices():
            poses, trans, betas = self._tensors(motion, self.frames[part])
            with torch.no_grad():
                posed = self.body.pose(poses, trans, betas)
            pelvis = self.truth.joints[self.rows[part], 0]
            each = pose.vertex_errors(
                posed.vertices.numpy(), true_vertices, posed.joints[:, 0].numpy(), pelvis
            )
            errors[part] = each.mean(1)
        return errors

    def _true_vertices(self) -> tuple[Callable[[], Iterator[tuple[Indices, Array]]] | None, str]:
        """True vertices by chunks of our frames, if they can be had, and what to say about them."""
        truth, count = self.truth, len(self.body.v_template)
        if self._same_body():
            return self._posed_truth, f"{len(self.frames)} frames, the truth's body in its poses"
        if truth.vertices is None:
            return None, "not computed: the truth has no vertices, and its body is not the motion's"
        if truth.vertices.shape[1] != count:
            return (
                None,
                f"not computed: the truth's body has {truth.vertices.shape[1]} vertices, ours {count}",
            )
        known = np.isin(self.rows, truth.vertices_rows)
        if not known.any():
            return None, "not computed: the rows with true vertices are of no kept picture"
        return self._given_vertices, f"the {known.sum()} frames whose true vertices are given"

    def _same_body(self) -> bool:
        """Whether our body in the truth's poses and shape gives the truth's joints and vertices."""
        truth = self.truth
        if truth.poses is None or truth.trans is None or truth.betas is None:
            return False
        joints = self._truth_posed(np.arange(len(truth)), skeleton=True)
        same = np.abs(joints - truth.joints).max() < _SAME_BODY
        if same and truth.vertices is not None:
            vertices = self._truth_posed(truth.vertices_rows)
            same = vertices.shape == truth.vertices.shape
            same = same and np.abs(vertices - truth.vertices).max() < _SAME_BODY
        return bool(same)

    def _truth_posed(self, rows: Indices, skeleton: bool = False) -> Array:
        truth = self.truth
        assert truth.poses is not None and truth.trans is not None and truth.betas is not None
        arrays = (truth.poses[rows], truth.trans[rows], truth.betas)
        poses, trans, betas = (torch.from_numpy(a).float() for a in arrays)
        with torch.no_grad():
            if skeleton:
                return self.body.articulate(poses, trans, betas)[1].numpy()
            return self.body.pose(poses, trans, betas).vertices.numpy()

    def _posed_truth(self) -> Iterator[tuple[Indices, Array]]:
        for start in range(0, len(self.frames), _CHUNK):
            part = np.arange(start, min(start + _CHUNK, len(self.frames)))
            yield part, self._truth_posed(self.rows[part])

    def _given_vertices(self) -> Iterator[tuple[Indices, Array]]:
        assert self.truth.vertices is not None
        place = {int(row): i for i, row in enumerate(self.truth.vertices_rows)}
        for part in np.flatnonzero(np.isin(self.rows, self.truth.vertices_rows)):
            yield np.array([part]), self.truth.vertices[[place[int(self.rows[part])]]]

    def _tensors(self, motion: Motion, frames: Indices) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        poses, trans, betas = motion.poses[frames], motion.trans[frames], motion.betas
        return torch.from_numpy(poses), torch.from_numpy(trans), torch.from_numpy(betas)


def _mean(values: Array, axis: int | None = None) -> Array:
    """The mean over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
