# mypy: allow-untyped-defs
"""The compiled loops of `posing`: Gaussians from the rest pose to camera space, and the gradient of that.

They compute what `posing` defines in PyTorch, sixteen Gaussians at a time: numbers of one kind lie side by
side and are handled as `Lanes`, matrices as tuples of nine of them, row by row. Every sum over Gaussians is
taken within chunks of fixed size and then over the chunks: results do not depend on the number of threads.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.body.skinning import FLATTEST
from models.rasterizer.compiling import compiled
from models.rasterizer.lanes import WIDTH, any_lane, exp2, load, root, store, where
from models.rasterizer.threads import num_threads, share

CHUNK = 512  # Gaussians, a multiple of WIDTH
_WORTH_A_THREAD = 8  # chunks
_STEPS = 10  # scaled Newton steps to the nearest rotation, and what ends them: see `nearest_rotation`
_CHANGE = float(np.finfo(np.float32).eps) ** 0.5
_TINY = 1e-12
_LOG2E = 1 / math.log(2)

# Rows of WIDTH floats for every sixteen Gaussians: kept for the gradient, and handed over within it.
_BLENDED, _ROTATION, _KEPT_FIELDS = 0, 9, 18
_MEAN, _QUATERNION, _LOG_SCALE, _BY_MEAN, _BY_COVARIANCE, _BY_BLENDED, _FIELDS = 0, 3, 7, 10, 13, 19, 28


def pose(
    means: Tensor, quaternions: Tensor, log_scales: Tensor, weights: Tensor, transforms: Tensor
) -> tuple[Tensor, Tensor]:
    """See `posing.pose_ellipsoids`; float32 on the CPU, differentiable in all arguments but the weights."""
    inputs = (means, quaternions, log_scales, weights, transforms)
    return _Pose.apply(*(tensor.contiguous() for tensor in inputs))


class _Pose(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        count = len(inputs[0])
        posed, covariances = torch.empty(count, 3), torch.empty(count, 3, 3)
        kept = torch.empty(-(-count // WIDTH) * WIDTH * _KEPT_FIELDS)
        arrays = _arrays(*inputs, posed, covariances, kept)
        share(lambda first, last: _pose(first, last, *arrays), _chunks(count))
        ctx.save_for_backward(*inputs, kept)
        return posed, covariances

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_posed: Tensor, by_covariances: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, kept = ctx.saved_tensors
        means, quaternions, log_scales, _, transforms = inputs
        gradients = tuple(torch.empty_like(tensor) for tensor in (means, quaternions, log_scales))
        bounds = _chunks(len(means))
        by_transforms = np.zeros((bounds[-1], *transforms.shape), np.float32)
        arrays = _arrays(*inputs, kept, by_posed.contiguous(), by_covariances.contiguous(), *gradients)
        share(lambda first, last: _pose_backward(first, last, *arrays, by_transforms), bounds)
        return *gradients, None, torch.from_numpy(by_transforms.sum(0))


def _chunks(count: int) -> list[int]:
    """Bounds of equal runs of chunks, one for every thread that is worth waking."""
    chunks = -(-count // CHUNK)
    parts = max(1, min(num_threads(), chunks // _WORTH_A_THREAD))
    return [chunks * part // parts for part in range(parts + 1)]


def _arrays(*tensors: Tensor) -> Any:
    return tuple(tensor.detach().numpy() for tensor in tensors)


@compiled
def _load_three(rows, field):
    return load(rows, field * WIDTH), load(rows, (field + 1) * WIDTH), load(rows, (field + 2) * WIDTH)


@compiled
def _load_matrix(flat, start):
    return (
        load(flat, start),
        load(flat, start + WIDTH),
        load(flat, start + 2 * WIDTH),
        load(flat, start + 3 * WIDTH),
        load(flat, start + 4 * WIDTH),
        load(flat, start + 5 * WIDTH),
        load(flat, start + 6 * WIDTH),
        load(flat, start + 7 * WIDTH),
        load(flat, start + 8 * WIDTH),
    )


@compiled
def _store_matrix(flat, start, m):
    store(flat, start, m[0])
    store(flat, start + WIDTH, m[1])
    store(flat, start + 2 * WIDTH, m[2])
    store(flat, start + 3 * WIDTH, m[3])
    store(flat, start + 4 * WIDTH, m[4])
    store(flat, start + 5 * WIDTH, m[5])
    store(flat, start + 6 * WIDTH, m[6])
    store(flat, start + 7 * WIDTH, m[7])
    store(flat, start + 8 * WIDTH, m[8])


@compiled
def _product(a, b):
    return (
        a[0] * b[0] + a[1] * b[3] + a[2] * b[6],
        a[0] * b[1] + a[1] * b[4] + a[2] * b[7],
        a[0] * b[2] + a[1] * b[5] + a[2] * b[8],
        a[3] * b[0] + a[4] * b[3] + a[5] * b[6],
        a[3] * b[1] + a[4] * b[4] + a[5] * b[7],
        a[3] * b[2] + a[4] * b[5] + a[5] * b[8],
        a[6] * b[0] + a[7] * b[3] + a[8] * b[6],
        a[6] * b[1] + a[7] * b[4] + a[8] * b[7],
        a[6] * b[2] + a[7] * b[5] + a[8] * b[8],
    )


@compiled
def _transposed(a):
    return a[0], a[3], a[6], a[1], a[4], a[7], a[2], a[5], a[8]


@compiled
def _columns_times(a, s):
    return (
        a[0] * s[0], a[1] * s[1], a[2] * s[2],
        a[3] * s[0], a[4] * s[1], a[5] * s[2],
        a[6] * s[0], a[7] * s[1], a[8] * s[2],
    )  # fmt: skip


@compiled
def _square_norm(a):
    upper = a[0] * a[0] + a[1] * a[1] + a[2] * a[2] + a[3] * a[3]
    return upper + a[4] * a[4] + a[5] * a[5] + a[6] * a[6] + a[7] * a[7] + a[8] * a[8]


@compiled
def _at_least_tiny(value):
    return where(value > _TINY, value, _TINY)


@compiled
def _inverse_transpose(a):
    """The cofactors over the determinant."""
    c0, c1, c2 = a[4] * a[8] - a[5] * a[7], a[5] * a[6] - a[3] * a[8], a[3] * a[7] - a[4] * a[6]
    square = _square_norm(a)
    least = _at_least_tiny(FLATTEST * square * root(square))
    determinant = a[0] * c0 + a[1] * c1 + a[2] * c2
    inverse = 1.0 / where(determinant > least, determinant, least)
    return (
        c0 * inverse,
        c1 * inverse,
        c2 * inverse,
        (a[2] * a[7] - a[1] * a[8]) * inverse,
        (a[0] * a[8] - a[2] * a[6]) * inverse,
        (a[1] * a[6] - a[0] * a[7]) * inverse,
        (a[1] * a[5] - a[2] * a[4]) * inverse,
        (a[2] * a[3] - a[0] * a[5]) * inverse,
        (a[0] * a[4] - a[1] * a[3]) * inverse,
    )


@compiled
def _newton_step(a):
    inverse = _inverse_transpose(a)
    scale = root(root(_at_least_tiny(_square_norm(inverse) / _at_least_tiny(_square_norm(a)))))
    x, y = 0.5 * scale, 0.5 / scale
    return (
        x * a[0] + y * inverse[0],
        x * a[1] + y * inverse[1],
        x * a[2] + y * inverse[2],
        x * a[3] + y * inverse[3],
        x * a[4] + y * inverse[4],
        x * a[5] + y * inverse[5],
        x * a[6] + y * inverse[6],
        x * a[7] + y * inverse[7],
        x * a[8] + y * inverse[8],
    )


@compiled
def _differs(a, b):
    """Whether two matrices differ by more than the square root of the precision, in the Frobenius norm."""
    upper = (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2])
    middle = (a[3] - b[3]) * (a[3] - b[3]) + (a[4] - b[4]) * (a[4] - b[4]) + (a[5] - b[5]) * (a[5] - b[5])
    lower = (a[6] - b[6]) * (a[6] - b[6]) + (a[7] - b[7]) * (a[7] - b[7]) + (a[8] - b[8]) * (a[8] - b[8])
    return any_lane(upper + middle + lower > _CHANGE * _CHANGE)


@compiled
def _nearest_rotation(blended):
    rotation = blended
    for _ in range(_STEPS):
        previous = rotation
        rotation = _newton_step(previous)
        if not _differs(rotation, previous):
            break
    return rotation


@compiled
def _by_nearest_rotation(blended, rotation, by_rotation):
    """The derivative by the blended matrix; see `skinning.nearest_rotation`."""
    t = _product(_transposed(rotation), by_rotation)
    axial_x, axial_y, axial_z = t[7] - t[5], t[2] - t[6], t[3] - t[1]
    s = _product(_transposed(rotation), blended)
    zero = s[0] - s[0]
    m = _inverse_transpose(
        (
            s[4] + s[8], zero - s[1], zero - s[2],
            zero - s[3], s[0] + s[8], zero - s[5],
            zero - s[6], zero - s[7], s[0] + s[4],
        )
    )  # fmt: skip
    x = m[0] * axial_x + m[1] * axial_y + m[2] * axial_z
    y = m[3] * axial_x + m[4] * axial_y + m[5] * axial_z
    z = m[6] * axial_x + m[7] * axial_y + m[8] * axial_z
    r = rotation
    return (
        r[1] * z - r[2] * y, r[2] * x - r[0] * z, r[0] * y - r[1] * x,
        r[4] * z - r[5] * y, r[5] * x - r[3] * z, r[3] * y - r[4] * x,
        r[7] * z - r[8] * y, r[8] * x - r[6] * z, r[6] * y - r[7] * x,
    )  # fmt: skip


@compiled
def _unit_quaternion(rows):
    """The quaternion w, x, y, z of length one, and the inverse of the length that it had."""
    w, (x, y, z) = load(rows, _QUATERNION * WIDTH), _load_three(rows, _QUATERNION + 1)
    length = root(w * w + x * x + y * y + z * z)
    inverse = 1.0 / _at_least_tiny(length)
    return w * inverse, x * inverse, y * inverse, z * inverse, inverse


@compiled
def _axes(w, x, y, z):
    return (
        1.0 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1.0 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1.0 - 2 * (x * x + y * y),
    )  # fmt: skip


@compiled
def _store_by_quaternion(rows, w, x, y, z, inverse, d):
    """Put the derivative by the quaternion as given in its place, from d, that by its matrix."""
    by_w = 2 * (x * (d[7] - d[5]) + y * (d[2] - d[6]) + z * (d[3] - d[1]))
    by_x = 2 * (y * (d[1] + d[3]) + z * (d[2] + d[6]) - 2 * x * (d[4] + d[8]) + w * (d[7] - d[5]))
    by_y = 2 * (x * (d[1] + d[3]) + z * (d[5] + d[7]) - 2 * y * (d[0] + d[8]) + w * (d[2] - d[6]))
    by_z = 2 * (x * (d[2] + d[6]) + y * (d[5] + d[7]) - 2 * z * (d[0] + d[4]) + w * (d[3] - d[1]))
    along = w * by_w + x * by_x + y * by_y + z * by_z
    store(rows, _QUATERNION * WIDTH, (by_w - along * w) * inverse)
    store(rows, (_QUATERNION + 1) * WIDTH, (by_x - along * x) * inverse)
    store(rows, (_QUATERNION + 2) * WIDTH, (by_y - along * y) * inverse)
    store(rows, (_QUATERNION + 3) * WIDTH, (by_z - along * z) * inverse)


@compiled
def _sizes(rows):
    x, y, z = _load_three(rows, _LOG_SCALE)
    return exp2(_LOG2E * x), exp2(_LOG2E * y), exp2(_LOG2E * z)


@compiled
def _gather(rows, lane, i, means, quaternions, log_scales):
    for k in range(3):
        rows[(_MEAN + k) * WIDTH + lane] = means[i, k]
        rows[(_LOG_SCALE + k) * WIDTH + lane] = log_scales[i, k]
    for k in range(4):
        rows[(_QUATERNION + k) * WIDTH + lane] = quaternions[i, k]


@compiled
def _pose(
    first, last, means, quaternions, log_scales, weights, transforms, posed, covariances, kept
):  # fmt: skip
    """Fill `posed`, `covariances` and `kept` for the chunks [first, last)."""
    count, joints = weights.shape
    rows = np.empty(_FIELDS * WIDTH, np.float32)
    mixed = np.empty((3, 4), np.float32)
    for start in range(first * CHUNK, min(last * CHUNK, count), WIDTH):
        at = start * _KEPT_FIELDS
        for lane in range(WIDTH):
            i = min(start + lane, count - 1)  # the last ones fill up the lanes
            mixed[:] = 0
            for joint in range(joints):
                weight = weights[i, joint]
                if weight != 0:
                    for k in range(3):
                        for m in range(4):
                            mixed[k, m] += weight * transforms[joint, k, m]
            x, y, z = means[i, 0], means[i, 1], means[i, 2]
            for k in range(3):
                posed[i, k] = mixed[k, 0] * x + mixed[k, 1] * y + mixed[k, 2] * z + mixed[k, 3]
                for m in range(3):
                    kept[at + (_BLENDED + 3 * k + m) * WIDTH + lane] = mixed[k, m]
            _gather(rows, lane, i, means, quaternions, log_scales)
        rotation = _nearest_rotation(_load_matrix(kept, at + _BLENDED * WIDTH))
        _store_matrix(kept, at + _ROTATION * WIDTH, rotation)
        qw, qx, qy, qz, _ = _unit_quaternion(rows)
        half = _columns_times(_product(rotation, _axes(qw, qx, qy, qz)), _sizes(rows))
        _store_matrix(rows, _BY_BLENDED * WIDTH, _product(half, _transposed(half)))
        for lane in range(min(WIDTH, count - start)):
            for k in range(3):
                for m in range(3):
                    covariances[start + lane, k, m] = rows[(_BY_BLENDED + 3 * k + m) * WIDTH + lane]


@compiled
def _differentiate(rows, kept, at):
    """From inputs and gradients by the results in `rows`, put there the gradients by the inputs, in their
    places, and by the blended matrix, in _BY_BLENDED."""
    rotation = _load_matrix(kept, at + _ROTATION * WIDTH)
    blended = _load_matrix(kept, at + _BLENDED * WIDTH)
    w, x, y, z, inverse = _unit_quaternion(rows)
    sizes, axes = _sizes(rows), _axes(w, x, y, z)
    half = _columns_times(_product(rotation, axes), sizes)
    xx, xy, xz = _load_three(rows, _BY_COVARIANCE)
    yy, yz, zz = _load_three(rows, _BY_COVARIANCE + 3)
    by_half = _product((xx, xy, xz, xy, yy, yz, xz, yz, zz), half)
    h, d = half, by_half
    store(rows, _LOG_SCALE * WIDTH, h[0] * d[0] + h[3] * d[3] + h[6] * d[6])
    store(rows, (_LOG_SCALE + 1) * WIDTH, h[1] * d[1] + h[4] * d[4] + h[7] * d[7])
    store(rows, (_LOG_SCALE + 2) * WIDTH, h[2] * d[2] + h[5] * d[5] + h[8] * d[8])
    by_turned = _columns_times(by_half, sizes)
    _store_by_quaternion(rows, w, x, y, z, inverse, _product(_transposed(rotation), by_turned))
    by_rotation = _product(by_turned, _transposed(axes))
    m = _by_nearest_rotation(blended, rotation, by_rotation)
    u, v, t = _load_three(rows, _MEAN)
    gx, gy, gz = _load_three(rows, _BY_MEAN)
    by_blended = (
        m[0] + gx * u, m[1] + gx * v, m[2] + gx * t,
        m[3] + gy * u, m[4] + gy * v, m[5] + gy * t,
        m[6] + gz * u, m[7] + gz * v, m[8] + gz * t,
    )  # fmt: skip
    _store_matrix(rows, _BY_BLENDED * WIDTH, by_blended)
    b = blended
    store(rows, _MEAN * WIDTH, b[0] * gx + b[3] * gy + b[6] * gz)
    store(rows, (_MEAN + 1) * WIDTH, b[1] * gx + b[4] * gy + b[7] * gz)
    store(rows, (_MEAN + 2) * WIDTH, b[2] * gx + b[5] * gy + b[8] * gz)


@compiled
def _pose_backward(
    first, last, means, quaternions, log_scales, weights, transforms, kept, by_posed, by_covariances,
    by_means, by_quaternions, by_log_scales, by_transforms,
):  # fmt: skip
    """Fill the gradients `by_...` of the chunks [first, last); `by_transforms` has a sum for every chunk."""
    count, joints = weights.shape
    rows = np.empty(_FIELDS * WIDTH, np.float32)
    by_mixed = np.empty((3, 4), np.float32)
    for start in range(first * CHUNK, min(last * CHUNK, count), WIDTH):
        for lane in range(WIDTH):
            i = min(start + lane, count - 1)
            _gather(rows, lane, i, means, quaternions, log_scales)
            entry = _BY_COVARIANCE
            for k in range(3):
                rows[(_BY_MEAN + k) * WIDTH + lane] = by_posed[i, k]
                for m in range(k, 3):
                    rows[entry * WIDTH + lane] = by_covariances[i, k, m] + by_covariances[i, m, k]
                    entry += 1
        _differentiate(rows, kept, start * _KEPT_FIELDS)
        sums = by_transforms[start // CHUNK]
        for lane in range(min(WIDTH, count - start)):
            i = start + lane
            for k in range(3):
                by_means[i, k] = rows[(_MEAN + k) * WIDTH + lane]
                by_log_scales[i, k] = rows[(_LOG_SCALE + k) * WIDTH + lane]
                for m in range(3):
                    by_mixed[k, m] = rows[(_BY_BLENDED + 3 * k + m) * WIDTH + lane]
                by_mixed[k, 3] = rows[(_BY_MEAN + k) * WIDTH + lane]
            for k in range(4):
                by_quaternions[i, k] = rows[(_QUATERNION + k) * WIDTH + lane]
            for joint in range(joints):
                weight = weights[i, joint]
                if weight != 0:
                    for k in range(3):
                        for m in range(4):
                            sums[joint, k, m] += weight * by_mixed[k, m]
