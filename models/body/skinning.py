"""Linear blend skinning, one for the mesh and the Gaussians: forward kinematics, blending, posing of points.

B is a batch of poses, J the joints (24), V the points. Transforms map rest space to posed space, acting on
column vectors. As in SMPL (Loper et al. 2015, eq. 2-4) each joint turns about its own place.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from models.body.rotations import cross_matrix

_POLAR_STEPS = 10
"""Scaled Newton steps to the nearest rotation: more than any matrix needs that is not singular."""


def forward_kinematics(rotations: Tensor, joints: Tensor, parents: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Poses the skeleton.

    Args:
        rotations: (B, J, 3, 3), each relative to the parent's.
        joints: (J, 3) or (B, J, 3), rest positions in metres.
        parents: J indices; -1 marks the root.

    Returns:
        Transforms (B, J, 4, 4) from rest space to posed space, and the posed joints (B, J, 3).
    """
    batch, count = rotations.shape[:2]
    joints = joints.expand(batch, count, 3)
    rounds, parent_index = _ancestor_rounds(tuple(parents))
    origins = torch.cat([joints, joints.new_zeros(batch, 1, 3)], 1)
    offsets = joints - origins[:, parent_index]
    chained = _homogeneous(rotations, offsets)
    nobody = torch.eye(4, dtype=chained.dtype, device=chained.device).expand(batch, 1, 4, 4)
    # Pointer jumping: after round r a joint's transform spans 2^r joints, so four rounds serve a body.
    for ancestors in rounds:
        chained = torch.cat([chained, nobody], 1)[:, ancestors] @ chained
    turned, posed = chained[..., :3, :3], chained[..., :3, 3]
    shift = posed - (turned @ joints[..., None]).squeeze(-1)
    return _homogeneous(turned, shift), posed


def blend(weights: Tensor, transforms: Tensor) -> Tensor:
    """Mixes the joints' transforms (B, J, 4, 4) by weights (V, J) whose rows sum to one, into (B, V, 3, 4).

    The 3x3 part is no rotation wherever joints disagree: see `nearest_rotation`.
    """
    rows = transforms[..., :3, :].flatten(-2).transpose(-1, -2)
    # Points last in memory: everything done with the result then runs along long rows.
    return (rows @ weights.T).unflatten(-2, (3, 4)).movedim(-1, -3)


def transform_points(points: Tensor, affine: Tensor) -> Tensor:
    """Moves points (V, 3) or (B, V, 3) by affine (B, V, 3, 4) each, into (B, V, 3)."""
    points = points.expand(*affine.shape[:2], 3)
    return torch.einsum("bvij,bvj->bvi", affine[..., :3], points) + affine[..., 3]


def skin(points: Tensor, weights: Tensor, transforms: Tensor) -> Tensor:
    """Linear blend skinning of points (V, 3) or (B, V, 3) by weights (V, J) and transforms (B, J, 4, 4)."""
    return transform_points(points, blend(weights, transforms))


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotations nearest to matrices (..., 3, 3) of positive determinant: their polar factors."""
    return _PolarRotation.apply(matrix)


class _PolarRotation(torch.autograd.Function):
    """The polar factor R of M = R S, by scaled Newton iteration (Higham 1986), and its exact derivative.

    dR = R [w]x where (tr(S) I - S) w is the axial vector of R^T dM - dM^T R.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, matrix: Tensor) -> Tensor:
        rows = matrix.detach().movedim((-2, -1), (0, 1)).contiguous()
        for _ in range(_POLAR_STEPS):
            inverse = _inverse_transpose(rows)
            scale = (_square_norm(inverse) / _square_norm(rows)) ** 0.25
            rows, previous = 0.5 * (scale * rows + inverse / scale), rows
            if torch.allclose(rows, previous, rtol=0, atol=8 * torch.finfo(rows.dtype).eps):
                break
        rotation = rows.movedim((0, 1), (-2, -1))
        ctx.save_for_backward(matrix, rotation)
        return rotation

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        matrix, rotation = ctx.saved_tensors  # type: ignore[attr-defined]
        stretch = rotation.transpose(-1, -2) @ matrix
        eye = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
        spread = stretch.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] * eye - stretch
        turned = rotation.transpose(-1, -2) @ gradient
        skew = turned - turned.transpose(-1, -2)
        axial = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], -1)
        solved = torch.linalg.solve(spread, axial)
        return rotation @ cross_matrix(solved)


def _inverse_transpose(rows: Tensor) -> Tensor:
    """The transposed inverses of (3, 3, ...), whose first two axes are the matrix's."""
    a, b, c = rows
    cofactors = torch.stack([torch.linalg.cross(*pair, dim=0) for pair in ((b, c), (c, a), (a, b))])
    return cofactors / (a * cofactors[0]).sum(0)


def _square_norm(rows: Tensor) -> Tensor:
    return (rows * rows).sum((0, 1))


def _homogeneous(linear: Tensor, shift: Tensor) -> Tensor:
    """(..., 3, 3) and (..., 3) into (..., 4, 4)."""
    bottom = linear.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*linear.shape[:-2], 1, 4)
    return torch.cat([torch.cat([linear, shift[..., None]], -1), bottom], -2)


@lru_cache(maxsize=8)
def _ancestor_rounds(parents: tuple[int, ...]) -> tuple[list[list[int]], list[int]]:
    """For each round of pointer jumping every joint's 1st, 2nd, 4th ... ancestor, and the first of them (the
    parents); joint J, one past the last, stands for "nobody", above the root."""
    nobody = len(parents)
    first = [parent if parent >= 0 else nobody for parent in parents]
    ancestors = [*first, nobody]
    rounds = []
    while any(ancestor != nobody for ancestor in ancestors):
        rounds.append(ancestors[:-1])
        ancestors = [ancestors[ancestor] for ancestor in ancestors]
    return rounds, first
