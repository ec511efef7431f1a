"""Whole optimisation steps of the joint phase, at two sizes.

    python -m benchmarks.speed BENCH [--write]

A step: kinematics, skinning, picture, L1, SSIM, alpha, coupling, all gradients, Adam. BENCH is the folder of
benchmark sequences.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

import pipeline  # noqa: F401 - sets the environment of what is imported below
from benchmarks.loop_table import machine
from benchmarks.sequences import load, names
from benchmarks.steps import joint_phase
from models.avatar import Evidence, OptimiserSettings
from models.avatar.observations import Crop, Crops, mask_boxes
from models.body import load_embedded_body

TABLE = Path(__file__).with_suffix(".md")
STEPS, WARM_UP = 60, 5
SIZES = ((5000, 256, 256), (20_000, 512, 384))
HEADING = """# Speed of the joint optimisation

`python -m benchmarks.speed BENCH --write`: whole steps of the joint phase, a frame each (kinematics,
skinning, picture, L1, SSIM, alpha, coupling, all gradients, Adam). One torch thread beside the renderer's.
{machine}.

| Gaussians, picture | steps/s | CPU ms/step |
|---|---|---|
"""


class Resized(Crops):
    """Crops brought to one size; the person is stretched, which costs what an unstretched one would."""

    def __init__(self, crops: Crops, height: int, width: int) -> None:
        self.crops, self.device, self.size = crops, crops.device, (width, height)

    def __getitem__(self, frame: int) -> Crop:
        crop = self.crops[frame]
        zoom = torch.tensor([self.size[0] / crop.width, self.size[1] / crop.height, 1.0])
        image, mask = (cv2.resize(a.numpy(), self.size) for a in (crop.image, crop.mask))
        return replace(
            crop, image=torch.from_numpy(image), mask=torch.from_numpy(mask), K=zoom[:, None] * crop.K
        )


def step_seconds(evidence: Evidence, count: int, height: int, width: int) -> tuple[float, float]:
    """Seconds and CPU seconds of a whole step."""
    boxes = mask_boxes(evidence.masks, evidence.valid)
    frames = np.arange(len(evidence))
    crops = Resized(Crops(evidence, boxes, frames, height, torch.device("cpu")), height, width)
    phase = joint_phase(
        evidence, load_embedded_body(), crops, count, OptimiserSettings(), steps=WARM_UP + STEPS
    )
    for _ in range(WARM_UP):
        phase.step()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(STEPS):
        phase.step()
    return (time.perf_counter() - wall) / STEPS, (time.process_time() - cpu) / STEPS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", type=Path)
    parser.add_argument("--write", action="store_true", help=f"also into {TABLE.name}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as the stage does
    evidence = load(arguments.bench / names(arguments.bench)[1]).evidence
    text = HEADING.format(machine=machine())
    for count, height, width in SIZES:
        seconds, cpu = step_seconds(evidence, count, height, width)
        text += f"| {count} at {width}x{height} | {1 / seconds:.1f} | {1000 * cpu:.1f} |\n"
    print(text)
    if arguments.write:
        TABLE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
