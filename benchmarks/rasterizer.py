"""Measures the rasteriser: python -m benchmarks.rasterizer [--write], from the repository root.

The scene is a figure of a person made of capsules, 1.8 m high, filling most of the picture's height, covered
evenly by Gaussians (sigma 0.75 of their spacing along the surface, 0.25 across, opacity 0.88): about what the
avatar's optimisation draws at every step. "twin" is the engine "torch", every Gaussian at every pixel,
estimated from four strips of two rows.
"""

import argparse
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import torch
from torch import Tensor

from models.rasterizer import covariance_from, render, set_num_threads, ssim
from models.rasterizer.similarity import _by_convolution

SCENES = [(5_000, 256, 256), (20_000, 384, 512)]

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
    """About `count` Gaussians on the figure, 3 m before a camera that shows it over 0.9 of the height."""
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


def best_ms(call: Callable[[], object], clock: Callable[[], float], seconds: float = 2.0) -> float:
    """The fastest of repeated calls: what the machine does when nobody else uses it."""
    call()
    times: list[float] = []
    while sum(times) < seconds and len(times) < 500:
        start = clock()
        call()
        times.append(clock() - start)
    return 1000 * min(times)


def step(scene: Scene, engine: str) -> Callable[[], object]:
    """Forward and backward, with a gradient from all three pictures."""
    inputs = [tensor.clone().requires_grad_() for tensor in scene[:4]]
    upstream = [torch.ones(scene.height, scene.width, *rest) for rest in ((3,), (), ())]
    return lambda: torch.autograd.grad(render(*inputs, *scene[4:], engine=engine), inputs, upstream)


def twin_seconds(scene: Scene, rows: int = 2, samples: int = 4) -> float:
    """The twin's forward and backward, estimated from strips: all at once takes too much memory."""
    total = 0.0
    for top in range(0, scene.height, scene.height // samples):
        K = scene.K - torch.tensor([[0.0, 0, 0], [0, 0, top], [0, 0, 0]])
        call = step(scene._replace(K=K, height=rows), "torch")
        start = time.perf_counter()
        call()
        total += time.perf_counter() - start
    return total * scene.height / (rows * samples)


def similarity(scene: Scene, measure: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], object]:
    target = render(*scene).color
    image = (0.9 * target).requires_grad_()
    return lambda: torch.autograd.grad(measure(image, target), image)


def time_first_call() -> list[float]:
    """CPU seconds to the first gradients of a process."""
    start = time.process_time()
    step(figure(5000, 256, 256), "numba")()
    similarity(figure(5000, 256, 256), ssim)()
    return [time.process_time() - start]


def time_huge() -> list[float]:
    """Seconds and peak MiB of a step with Gaussians that each cover the whole picture, and MiB before it."""
    scene = figure(20_000, 384, 512)
    before = peak_mib()
    large = 4 * torch.eye(3).expand(len(scene.means), 3, 3)
    scene = scene._replace(covariances=large, opacities=torch.full((len(scene.means),), 0.01))
    start = time.perf_counter()
    step(scene, "numba")()
    return [time.perf_counter() - start, peak_mib(), before]


def peak_mib() -> float:
    """This process's peak resident memory (Linux); getrusage's would begin with the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def in_new_process(name: str, cache: str) -> list[float]:
    """What the function of this name returns in a new process with its own folder for compiled code."""
    program = f"import benchmarks.rasterizer as b; print(*b.{name}())"
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def row(scene: Scene, threads: int) -> str:
    set_num_threads(threads)
    torch.set_num_threads(threads)
    calls = [
        lambda: render(*scene),
        step(scene, "numba"),
        similarity(scene, ssim),
        similarity(scene, lambda image, target: _by_convolution(image[None], target[None])),
    ]
    clock = time.thread_time if threads == 1 else time.perf_counter
    numbers = " | ".join(f"{best_ms(call, clock):.1f}" for call in calls)
    twin = f"{twin_seconds(scene):,.0f} s" if threads == 1 else ""
    return f"| {len(scene.means):,} at {scene.width}x{scene.height} | {threads} | {numbers} | {twin} |"


def report() -> str:
    rows = [row(figure(*scene), threads) for scene in SCENES for threads in (1, 2)]
    with tempfile.TemporaryDirectory() as cache:
        (first,), (later,) = (in_new_process("time_first_call", cache) for _ in range(2))
        seconds, peak, before = in_new_process("time_huge", cache)
    return f"""{cpu_name()}, {len(os.sched_getaffinity(0))} cores; Python {platform.python_version()}, \
torch {torch.__version__}, numba {numba.__version__}. Milliseconds, the fastest of repeated calls:
of CPU on one thread, by the wall clock on two. The load average was {os.getloadavg()[0]:.1f} at the end.

| scene | threads | forward | forward + backward | SSIM + gradient | the same by torch | twin |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}

- The first gradients of the first process after installation take {first:.1f} s of CPU, for compiling;
  those of every later process {later:.1f} s.
- 20,000 Gaussians that each cover all of 384x512, one thread: forward + backward {seconds:.1f} s, peak memory
  {peak:.0f} MiB, of which {before:.0f} before the first call.
"""


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="also write benchmarks/rasterizer.md")
    write = parser.parse_args().write
    text = report()
    print(text)
    if write:
        about = str(__doc__).split("\n\n", 1)[1]
        page = f"# The rasteriser\n\nWritten by `python -m benchmarks.rasterizer --write`. {about}\n{text}"
        Path(__file__).with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
