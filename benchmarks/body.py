"""Measure the body: python -m benchmarks.body [--write], from the repository root.

What the avatar's optimisation asks for at every step: forward kinematics and skinning of points spread over
the body, forward and backward, with gradients to the poses, the translation, the shape and the points.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from models.body import load_embedded_body, skinning

COUNTS = (5_000, 20_000)
BATCHES = (1, 4)
SECONDS = 3.0


def measure(step: Callable[[], object]) -> float:
    """Processor milliseconds of one call: the lower quartile, as other processes only ever add to it."""
    for _ in range(10):
        step()
    times: list[float] = []
    while sum(times) < SECONDS:
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return 1e3 * sorted(times)[len(times) // 4]


def row(count: int, batch: int) -> str:
    generator = torch.Generator().manual_seed(0)

    def learned(*shape: int, scale: float) -> Tensor:
        return (scale * torch.randn(*shape, generator=generator)).requires_grad_()

    body = load_embedded_body()
    chosen = torch.randint(len(body.v_template), (count,), generator=generator)
    points, weights = body.v_template[chosen].clone().requires_grad_(), body.weights[chosen]
    poses = learned(batch, 72, scale=0.5)
    trans, betas = learned(batch, 3, scale=1.0), learned(10, scale=1.0)
    transforms = body.articulate(poses, trans, betas)[0].detach().requires_grad_()
    matrices = skinning.blend(weights, transforms)[..., :3].detach().requires_grad_()
    toward_points = torch.randn(batch, count, 3, generator=generator)
    toward_matrices = torch.randn(batch, count, 3, 3, generator=generator)
    toward_transforms = torch.randn(batch, 24, 4, 4, generator=generator)

    def skeleton() -> None:
        body.articulate(poses, trans, betas)[0].backward(toward_transforms)

    def skin() -> None:
        skinning.skin(points, weights, transforms).backward(toward_points)

    def both() -> None:
        skinning.skin(points, weights, body.articulate(poses, trans, betas)[0]).backward(toward_points)

    def rotations() -> None:
        skinning.nearest_rotation(matrices).backward(toward_matrices)

    figures = " | ".join(f"{measure(step):.2f}" for step in (skeleton, skin, both, rotations))
    return f"| {count:,} | {batch} | {figures} |"


def table() -> str:
    torch.set_num_threads(1)
    head = [
        f"`python -m benchmarks.body --write`: torch {torch.__version__}, {os.cpu_count()} cores.",
        "Processor milliseconds on one thread, forward and backward, lower quartile.",
        "",
        "| points | poses | kinematics | skinning | both | nearest rotations |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(row(count, batch) for count in COUNTS for batch in BATCHES)]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table to benchmarks/body.md")
    write = parser.parse_args().write
    text = "# The body, one optimisation step\n\n" + table()
    print(text)
    if write:
        Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
