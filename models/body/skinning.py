"""Linear blend skinning, one for the mesh and the Gaussians: forward kinematics, blending, posing of points.

B is a batch of poses, J the joints (24), V the points. Transforms map rest space to posed space, acting on
column vectors. As in SMPL (Loper et al. 2015, eq. 2-4) each joint turns about its own place.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from models.placement import placed_indices

_POLAR_STEPS = 10
"""Scaled Newton steps to the nearest rotation: more than any matrix needs that is not singular."""
_BLIND_POLAR_STEPS = 5
"""Where nobody looks whether they are enough. Blends of two joints 179 degrees apart need four in single
precision."""
FLATTEST = 1e-9
"""Least determinant that counts, in units of the cubed Frobenius norm. It stands in for smaller ones, and for
those of reflections, whose result still is finite then, in single precision too."""
_TINY = 1e-12


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
    rounds, first = _ancestor_rounds(tuple(parents))
    origins = torch.cat([joints, joints.new_zeros(batch, 1, 3)], 1)
    offsets = joints - origins.index_select(1, placed_indices(first, joints.device))
    chained = _homogeneous(rotations, offsets)
    nobody = torch.eye(4, dtype=chained.dtype, device=chained.device).expand(batch, 1, 4, 4)
    # Pointer jumping: after round r a joint's transform spans 2^r joints, so four rounds serve a body.
    for ancestors in rounds:
        index = placed_indices(ancestors, joints.device)
        chained = torch.cat([chained, nobody], 1).index_select(1, index) @ chained
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
    first, second, third, shift = affine.unbind(-1)
    x, y, z = points[..., None].unbind(-2)
    return first * x + second * y + third * z + shift


def skin(points: Tensor, weights: Tensor, transforms: Tensor) -> Tensor:
    """Linear blend skinning of points (V, 3) or (B, V, 3) by weights (V, J) and transforms (B, J, 4, 4)."""
    return transform_points(points, blend(weights, transforms))


def nearest_rotation(matrix: Tensor) -> Tensor:
    """The rotations nearest to matrices (..., 3, 3): their polar factors.

    Meant for what `blend` makes; a matrix of determinant 0 or less gets a finite result, not the nearest.
    """
    return _PolarRotation.apply(matrix)


class _PolarRotation(torch.autograd.Function):
    """The polar factor R of M = R S, by scaled Newton iteration (Higham 1986), and its exact derivative.

    dR = R [w]x where (tr(S) I - S) w is the axial vector of R^T dM - dM^T R. Inside, a matrix's two axes come
    first, matrices[i] being the i-th rows (3, ...), so that everything runs along the batch.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, matrix: Tensor) -> Tensor:
        matrices = matrix.movedim((-2, -1), (0, 1)).contiguous()
        rotations, precision = matrices, torch.finfo(matrix.dtype).eps
        on_cpu = matrix.device.type == "cpu"
        for _ in range(_POLAR_STEPS if on_cpu else _BLIND_POLAR_STEPS):
            inverse = _inverse_transpose(rotations)
            squared_ratio = _square_norm(inverse) / _square_norm(rotations).clamp_min(_TINY)
            scale = squared_ratio.clamp_min(_TINY) ** 0.25
            rotations, previous = 0.5 * (scale * rotations + inverse / scale), rotations
            # The error shrinks to about its square, so this step's is far below a small change. On a GPU
            # looking would cost more than the steps saved.
            if on_cpu and (matrix.numel() == 0 or (rotations - previous).abs().max() < precision**0.5):
                break
        ctx.save_for_backward(matrices, rotations)
        return rotations.movedim((0, 1), (-2, -1))

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        matrices, rotations = ctx.saved_tensors  # type: ignore[attr-defined]
        turned = _transposed_product(rotations, gradient.movedim((-2, -1), (0, 1)))
        axial = torch.stack([turned[k - 1, k - 2] - turned[k - 2, k - 1] for k in range(3)])
        stretch = _transposed_product(rotations, matrices)
        trace = stretch[0, 0] + stretch[1, 1] + stretch[2, 2]
        spread = -stretch
        for axis in range(3):
            spread[axis, axis] += trace
        turn = (_inverse_transpose(spread) * axial).sum(1)
        product = rotations.roll(-1, 1) * turn.roll(-2, 0) - rotations.roll(-2, 1) * turn.roll(-1, 0)
        return product.movedim((0, 1), (-2, -1))


def _inverse_transpose(matrices: Tensor) -> Tensor:
    """The transposed inverses of matrices (3, 3, ...): their cofactors over their determinant."""
    wrapped = torch.cat([matrices, matrices[:2]])
    wrapped = torch.cat([wrapped, wrapped[:, :2]], 1)
    after, last = slice(1, 4), slice(2, 5)
    cofactors = wrapped[after, after] * wrapped[last, last] - wrapped[after, last] * wrapped[last, after]
    determinant = (matrices[0] * cofactors[0]).sum(0)
    least = (FLATTEST * _square_norm(matrices) ** 1.5).clamp_min(_TINY)
    return cofactors / torch.maximum(determinant, least)


def _transposed_product(first: Tensor, second: Tensor) -> Tensor:
    """A^T B of matrices (3, 3, ...)."""
    return (first[:, :, None] * second[:, None]).sum(0)


def _square_norm(matrices: Tensor) -> Tensor:
    return (matrices * matrices).sum((0, 1))


def _homogeneous(linear: Tensor, shift: Tensor) -> Tensor:
    """(..., 3, 3) and (..., 3) into (..., 4, 4)."""
    bottom = torch.eye(4, dtype=linear.dtype, device=linear.device)[3:].expand(*linear.shape[:-2], 1, 4)
    return torch.cat([torch.cat([linear, shift[..., None]], -1), bottom], -2)


@lru_cache(maxsize=8)
def _ancestor_rounds(parents: tuple[int, ...]) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """For each round of pointer jumping every joint's 1st, 2nd, 4th ... ancestor, and the first of them (the
    parents); joint J, one past the last, stands for "nobody", above the root."""
    nobody = len(parents)
    first = tuple(parent if parent >= 0 else nobody for parent in parents)
    ancestors = (*first, nobody)
    rounds = []
    while any(ancestor != nobody for ancestor in ancestors):
        rounds.append(ancestors[:-1])
        ancestors = tuple(ancestors[ancestor] for ancestor in ancestors)
    return rounds, first
