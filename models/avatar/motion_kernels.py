# mypy: allow-untyped-defs
"""Compiled kinematics of a few frames and their plausibility, with gradients written by hand.

They compute what `trajectory` and `losses` define in PyTorch, where a few frames of 24 joints cost little but
the calls. Everything inside is in double precision and on one thread.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.rasterizer.compiling import compiled

_SMALL_ANGLE_SQUARED = 1e-4  # below it series, exact to double precision to the order that is kept


def fits(*tensors: Tensor) -> bool:
    """Whether the compiled code is for such tensors: on the CPU, in single precision."""
    return all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)


def articulate(
    start: Tensor, turns: Tensor, direction: Tensor, distance: Tensor, rest: Tensor, parents: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """See `trajectory.articulated`; differentiable in all but `start`."""
    inputs = (tensor.contiguous() for tensor in (start, turns, direction, distance, rest))
    return _Articulation.apply(*inputs, np.array(parents))


def plausibility(
    turns: Tensor, joints: Tensor, stiffness: Tensor, numbers: tuple[float, float, float, float, float]
) -> Tensor:
    """The weighted sum of `losses.rotation_prior` and, from three frames on, `losses.smoothness`.

    Args:
        turns, joints: (B,24,3) each; stiffness: (24,) factors on the prior.
        numbers: factor on second differences, weights of smoothness and prior, LARGE_TURN, the floor.
    """
    return _Plausibility.apply(turns.contiguous(), joints.contiguous(), stiffness, numbers)


class _Articulation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        *tensors, parents = inputs
        turns = tensors[1]
        transforms = torch.zeros(*turns.shape[:2], 4, 4)
        trans, joints = torch.empty(len(turns), 3), torch.empty_like(turns)
        local = np.empty((*turns.shape[:2], 3, 3))
        _articulate(*_arrays(*tensors), parents, *_arrays(transforms, trans, joints), local)
        ctx.save_for_backward(*tensors, transforms)
        ctx.parents, ctx.local = parents, local
        return transforms, trans, joints

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, transforms = ctx.saved_tensors
        gradients = tuple(torch.zeros_like(tensor) for tensor in inputs[1:])
        received = _arrays(*(tensor.contiguous() for tensor in upstream))
        arrays = _arrays(*inputs, transforms)
        _articulate_backward(*arrays, ctx.parents, ctx.local, *received, *_arrays(*gradients))
        return None, *gradients, None


class _Plausibility(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, turns: Tensor, joints: Tensor, stiffness: Tensor, numbers: Any) -> Tensor:
        by_turns, by_joints = torch.empty_like(turns), torch.zeros_like(joints)
        arrays = _arrays(turns, joints, stiffness, by_turns, by_joints)
        value = _plausibility(*arrays, *numbers)
        ctx.save_for_backward(by_turns, by_joints)
        return torch.tensor(value, dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        by_turns, by_joints = ctx.saved_tensors
        return upstream * by_turns, upstream * by_joints, None, None


def _arrays(*tensors: Tensor) -> Any:
    return tuple(tensor.detach().numpy() for tensor in tensors)


@compiled
def _coefficients(squared):
    """cos(a), sin(a)/a, (1 - cos(a))/a^2 and the derivatives by a^2 of the last two; that of the first is
    minus half the second."""
    if squared < _SMALL_ANGLE_SQUARED:
        cosine = 1 - squared / 2 + squared * squared / 24
        sine = 1 - squared / 6 + squared * squared / 120
        versine = 0.5 - squared / 24 + squared * squared / 720
        return cosine, sine, versine, -1 / 6 + squared / 60, -1 / 24 + squared / 360
    angle = math.sqrt(squared)
    cosine, sine = math.cos(angle), math.sin(angle) / angle
    half = math.sin(angle / 2) / angle
    versine = 2 * half * half
    return cosine, sine, versine, (cosine - sine) / (2 * squared), (sine - 2 * versine) / (2 * squared)


@compiled
def _rotate(turn, matrix):
    """Fill `matrix` by Rodrigues' formula."""
    x, y, z = np.float64(turn[0]), np.float64(turn[1]), np.float64(turn[2])
    c, a, b, _, _ = _coefficients(x * x + y * y + z * z)
    matrix[0, 0], matrix[0, 1], matrix[0, 2] = c + b * x * x, b * x * y - a * z, b * x * z + a * y
    matrix[1, 0], matrix[1, 1], matrix[1, 2] = b * x * y + a * z, c + b * y * y, b * y * z - a * x
    matrix[2, 0], matrix[2, 1], matrix[2, 2] = b * x * z - a * y, b * y * z + a * x, c + b * z * z


@compiled
def _rotate_backward(turn, d, by_turn):
    """Fill `by_turn` from d, the derivative by the matrix."""
    x, y, z = np.float64(turn[0]), np.float64(turn[1]), np.float64(turn[2])
    _, a, b, slope_a, slope_b = _coefficients(x * x + y * y + z * z)
    u, v, w = d[2, 1] - d[1, 2], d[0, 2] - d[2, 0], d[1, 0] - d[0, 1]
    p = 2 * d[0, 0] * x + (d[0, 1] + d[1, 0]) * y + (d[0, 2] + d[2, 0]) * z
    q = (d[0, 1] + d[1, 0]) * x + 2 * d[1, 1] * y + (d[1, 2] + d[2, 1]) * z
    r = (d[0, 2] + d[2, 0]) * x + (d[1, 2] + d[2, 1]) * y + 2 * d[2, 2] * z
    trace, turning, form = d[0, 0] + d[1, 1] + d[2, 2], x * u + y * v + z * w, (x * p + y * q + z * r) / 2
    along = 2 * (-a / 2 * trace + slope_a * turning + slope_b * form)
    by_turn[0] = along * x + a * u + b * p
    by_turn[1] = along * y + a * v + b * q
    by_turn[2] = along * z + a * w + b * r


@compiled
def _multiply(a, b, result):
    for i in range(3):
        for k in range(3):
            result[i, k] = a[i, 0] * b[0, k] + a[i, 1] * b[1, k] + a[i, 2] * b[2, k]


@compiled
def _multiply_transposed(a, b, result):
    """result = a^T b"""
    for i in range(3):
        for k in range(3):
            result[i, k] = a[0, i] * b[0, k] + a[1, i] * b[1, k] + a[2, i] * b[2, k]


@compiled
def _articulate(start, turns, direction, distance, rest, parents, transforms, trans, joints, local):
    """Fill the last four; `local` (B,J,3,3) are the rotations relative to the parents'."""
    count = turns.shape[1]
    world, place, turned = np.empty((count, 3, 3)), np.empty((count, 3)), np.empty((3, 3))
    for frame in range(len(turns)):
        z = math.exp(distance[frame, 0])
        trans[frame, 0] = direction[frame, 0] * z - rest[0, 0]
        trans[frame, 1] = direction[frame, 1] * z - rest[0, 1]
        trans[frame, 2] = z - rest[0, 2]
        for j in range(count):
            _rotate(turns[frame, j], turned)
            _multiply(start[frame, j], turned, local[frame, j])
            parent = parents[j]
            if parent < 0:
                world[j], place[j] = local[frame, j], rest[j]
            else:
                _multiply(world[parent], local[frame, j], world[j])
                for i in range(3):
                    place[j, i] = place[parent, i]
                    for k in range(3):
                        place[j, i] += world[parent, i, k] * (rest[j, k] - rest[parent, k])
            for i in range(3):
                shift = place[j, i] + trans[frame, i]
                joints[frame, j, i] = shift
                for k in range(3):
                    transforms[frame, j, i, k] = world[j, i, k]
                    shift -= world[j, i, k] * rest[j, k]
                transforms[frame, j, i, 3] = shift
            transforms[frame, j, 3, 3] = 1


@compiled
def _articulate_backward(
    start, turns, direction, distance, rest, transforms, parents, local, by_transforms, by_trans, by_joints,
    by_turns, by_direction, by_distance, by_rest,
):  # fmt: skip
    """Fill the last four, which must be zero, from `by_transforms`, `by_trans` and `by_joints`."""
    count = turns.shape[1]
    by_world, by_place = np.empty((count, 3, 3)), np.empty((count, 3))
    by_local, by_turned, by_bone, by_lift = np.empty((3, 3)), np.empty((3, 3)), np.empty(3), np.empty(3)
    rest_sums = np.zeros((count, 3))
    for frame in range(len(turns)):
        world = transforms[frame]
        by_lift[:] = by_trans[frame]
        for j in range(count):
            for i in range(3):
                by_shift = np.float64(by_transforms[frame, j, i, 3])
                by_place[j, i] = by_shift + by_joints[frame, j, i]
                by_lift[i] += by_place[j, i]
                for k in range(3):
                    by_world[j, i, k] = by_transforms[frame, j, i, k] - by_shift * rest[j, k]
                    rest_sums[j, k] -= by_shift * world[j, i, k]
        for j in range(count - 1, -1, -1):
            parent = parents[j]
            if parent < 0:
                by_local[:] = by_world[j]
                rest_sums[j] += by_place[j]
            else:
                for i in range(3):
                    by_place[parent, i] += by_place[j, i]
                    by_bone[i] = 0
                    for k in range(3):
                        by_bone[i] += world[parent, k, i] * by_place[j, k]
                        by_world[parent, i, k] += by_place[j, i] * (rest[j, k] - rest[parent, k])
                        for m in range(3):
                            by_world[parent, i, k] += by_world[j, i, m] * local[frame, j, k, m]
                rest_sums[j] += by_bone
                rest_sums[parent] -= by_bone
                _multiply_transposed(world[parent], by_world[j], by_local)
            _multiply_transposed(start[frame, j], by_local, by_turned)
            _rotate_backward(turns[frame, j], by_turned, by_turns[frame, j])
        z = math.exp(distance[frame, 0])
        by_direction[frame, 0], by_direction[frame, 1] = by_lift[0] * z, by_lift[1] * z
        sideways = by_lift[0] * direction[frame, 0] + by_lift[1] * direction[frame, 1]
        by_distance[frame, 0] = (sideways + by_lift[2]) * z
        rest_sums[0] -= by_lift
    by_rest[:] = rest_sums


@compiled
def _plausibility(turns, joints, stiffness, by_turns, by_joints, rate, smooth, prior, large_turn, floor):
    """The value; fills `by_turns` and adds to `by_joints`."""
    frames, count, _ = turns.shape
    total = 0.0
    for t in range(frames):
        for j in range(count):
            squared = 0.0
            for k in range(3):
                squared += np.float64(turns[t, j, k]) * turns[t, j, k]
            share = 1 / (1 + squared / large_turn)
            weight = prior * stiffness[j] / frames
            total += weight * squared * share
            for k in range(3):
                by_turns[t, j, k] = 2 * weight * share * share * turns[t, j, k]
    if frames < 3 or smooth == 0:
        return total
    second = np.empty(3)
    weight = smooth / ((frames - 2) * count)
    for t in range(1, frames - 1):
        for j in range(count):
            squared = floor
            for k in range(3):
                change = (
                    np.float64(joints[t + 1, j, k]) - 2 * np.float64(joints[t, j, k]) + joints[t - 1, j, k]
                )
                second[k] = rate * change
                squared += second[k] * second[k]
            size = math.sqrt(squared)
            total += weight * size
            for k in range(3):
                slope = weight * rate * second[k] / size
                by_joints[t - 1, j, k] += slope
                by_joints[t, j, k] -= 2 * slope
                by_joints[t + 1, j, k] += slope
    return total
