"""Whole runs from nothing but the video: poses as first estimated and as refined, against the truth.

    python benchmarks/video.py BENCH --write

BENCH is the folder of the benchmark sequences. The workspaces go into a temporary folder.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from models.body import Motion
from models.metrics import pose

TABLE = Path(__file__).with_suffix(".md")
MEASURES = {
    "MPJPE": pose.mpjpe,
    "PA": pose.pa_mpjpe,
    "camera": pose.global_mpjpe,
    "scaled": pose.scaled_global_mpjpe,
    "accel": pose.acceleration_error,
}
HEADING = f"""# From nothing but the video

`python benchmarks/video.py BENCH --write`: `hsplat-pipeline run VIDEO --device cpu`, embedded
engines, default preset, no other option, so the focal length is a guess. In mm over all frames
(accel: mm per frame squared), before -> after the joint optimisation; "camera" in the camera's
space as it is, "scaled" with one scale a clip removed. PSNR and IoU: tight crop on held-out frames,
in the initial and in the fitted poses.

| sequence | {" | ".join(MEASURES)} | PSNR | IoU | seconds |
| --- | {" | ".join(["---"] * (len(MEASURES) + 3))} |
"""


def run(video: Path, workspace: Path) -> None:
    call = [
        sys.executable,
        "-m",
        "pipeline",
        "run",
        str(video),
        "--workspace",
        str(workspace),
        "--device",
        "cpu",
    ]
    subprocess.run(call, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def measured(motion: Path, truth: Path) -> list[float]:
    found = Motion.load(motion)
    assert found.joints is not None
    with np.load(truth) as data:
        joints = data["joints_cam"][found.frame]
    return [measure(found.joints.astype(np.float64), joints) for measure in MEASURES.values()]


def row(sequence: Path, workspace: Path) -> list[list[float]]:
    """Each measure before and after; then the seconds twice."""
    run(sequence / "video.mp4", workspace)
    files = workspace / "poses" / "motion.npz", workspace / "optimize" / "motion.npz"
    before, after = (measured(file, sequence / "gt.npz") for file in files)
    held_out = json.loads((workspace / "optimize" / "history.json").read_text())["held_out"]
    seconds = sum(json.loads(path.read_text())["seconds"] for path in workspace.glob("*/manifest.json"))
    for name in ("psnr", "iou"):
        before.append(held_out["initial poses"][name])
        after.append(held_out["fitted poses"][name])
    return [[*before, seconds], [*after, seconds]]


def line(name: str, before: list[float], after: list[float]) -> str:
    digits = [1] * (len(MEASURES) + 1) + [3]
    cells = [f"{a:.{d}f} -> {b:.{d}f}" for a, b, d in zip(before, after, digits, strict=False)]
    return f"| {name} | {' | '.join(cells)} | {after[-1]:.0f} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", type=Path)
    parser.add_argument("--write", action="store_true", help=f"also into {TABLE.name}")
    arguments = parser.parse_args()
    text, rows = HEADING, []
    with tempfile.TemporaryDirectory() as folder:
        for sequence in sorted(path for path in arguments.bench.iterdir() if path.is_dir()):
            rows.append(row(sequence, Path(folder) / sequence.name))
            text += line(sequence.name, *rows[-1])
    text += line("mean", *np.mean(rows, axis=0).tolist())
    print(text)
    if arguments.write:
        TABLE.write_text(text)


if __name__ == "__main__":
    main()
