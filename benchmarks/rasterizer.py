"""Measure the rasteriser: python benchmarks/rasterizer.py [--write], from the repository root.

The scene is a figure of a person made of capsules, 1.8 m high, filling most of the picture's height, covered
evenly by Gaussians (sigma 0.75 of their spacing along the surface, 0.25 across, opacity 0.88): what the avatar's
optimisation draws at every step.
"""

import argparse
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.rasterizer import covariance_from

# Capsules: two ends (x, y, z) and a radius, metres; y downwards from the crown.
FIGURE = [
    ((0, 0.12, 0), (0, 0.16, 0), 0.11),  # head
    ((0, 0.45, 0), (0, 0.85, 0), 0.17),  # trunk
    ((-0.22, 0.42, 0), (-0.55, 0.95, 0.05), 0.05),
    ((0.22, 0.42, 0), (0.55, 0.95, -0.05), 0.05),  # arms
    ((-0.1, 0.95, 0), (-0.16, 1.72, 0.08), 0.08),
    ((0.1, 0.95, 0), (0.16, 1.72, -0.08), 0.08),  # legs
]


class Scene(NamedTuple):
    means: Tensor
    covariances: Tensor
    colors: Tensor
    opacities: Tensor
    K: Tensor
    width: int
    height: int


def figure(count: int, width: int, height: int) -> Scene:
    """About `count` Gaussians on the figure, 3 m in front of a camera that shows it over 0.9 of the height."""
    lengths = [math.dist(a, b) for a, b, _ in FIGURE]
    areas = [
        2 * math.pi * radius * (length + 2 * radius)
        for length, (*_, radius) in zip(lengths, FIGURE, strict=True)
    ]
    spacing = math.sqrt(sum(areas) / count)
    points, normals = [], []
    for (a, b, radius), length, area in zip(FIGURE, lengths, areas, strict=True):
        point, normal = capsule(np.array(a), np.array(b), radius, length, round(count * area / sum(areas)))
        points.append(point)
        normals.append(normal)
    means = torch.from_numpy(np.concatenate(points)).float() - torch.tensor([0, 0.9, -3.0])
    rotations = frames(torch.from_numpy(np.concatenate(normals)).float())
    scales = spacing * torch.tensor([0.75, 0.75, 0.25]).expand(len(means), 3)
    focal = 0.9 * height / 1.8 * 3.0
    generator = torch.Generator().manual_seed(0)
    return Scene(
        means,
        covariance_from(rotations, scales),
        torch.rand(len(means), 3, generator=generator),
        torch.full((len(means),), 0.88),
        torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]),
        width,
        height,
    )


def capsule(
    a: np.ndarray, b: np.ndarray, radius: float, length: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points spread evenly over a capsule on a golden spiral, and their normals."""
    axis = (b - a) / length
    side = np.cross(axis, [0, 0, 1.0])
    side /= np.linalg.norm(side)
    other = np.cross(axis, side)
    along = (np.arange(count) + 0.5) / count * (length + 2 * radius) - radius  # area grows evenly with it
    turn = np.arange(count) * math.pi * (3 - math.sqrt(5))
    cap = np.where(along < 0, along, np.maximum(along - length, 0)) / radius
    ring = np.sqrt(1 - cap**2)
    normals = cap[:, None] * axis + ring[:, None] * (
        np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * other
    )
    return a + np.clip(along, 0, length)[:, None] * axis + radius * normals, normals


def frames(normals: Tensor) -> Tensor:
    """Rotations whose third column is the normal."""
    helper = torch.where(normals[:, :1].abs() < 0.9, torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0]))
    first = torch.nn.functional.normalize(torch.linalg.cross(helper, normals), dim=-1)
    return torch.stack([first, torch.linalg.cross(normals, first), normals], -1)


def best_ms(call: Callable[[], object], seconds: float = 2.0) -> tuple[float, float]:
    """Minimum and median over repeated calls."""
    call()
    times: list[float] = []
    while sum(times) < seconds and len(times) < 500:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * min(times), 1000 * float(np.median(times))
