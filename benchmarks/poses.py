"""Measures the stages detect and poses from nothing but the video; writes benchmarks/poses.md.

    python -m benchmarks.poses [--shared FOLDER] [--landmarks full heavy]

FOLDER is the folder of benchmark sequences (HSPLAT_SHARED): those with known truth are in its bench/, real
clips in its clips/; how the errors are defined is in models/metrics/pose.py. Each sequence gets its true
focal length, the real clips the guessed one. Each of the landmark networks named gets a section.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import numpy as np

from models import weights
from models.body import load_embedded_body
from models.hmr import fit_poses
from models.metrics import pose
from models.people import Landmarks
from models.people.blazepose import BlazePose
from stages import detect, frames
from stages.base import Stage, Work

EXAMPLE = Path(__file__).parents[1] / "examples" / "clip.mp4"
LOOKS = 60
CLIPS = ("juggle", "squats", "two_people_jump", "beam_cam01", "beam_two_people_cam01")
ERRORS = (
    pose.mpjpe,
    pose.pa_mpjpe,
    pose.global_mpjpe,
    pose.scaled_global_mpjpe,
    pose.acceleration_error,
)


HEADER = f"""# Poses from nothing but the video

`python -m benchmarks.poses`, one thread, {platform.machine()}; times are of the processor, all threads
together, since other work ran beside it.

Sequences with known truth: MPJPE, PA-MPJPE, camera space, and camera space with one scale removed (mm);
acceleration error (mm per frame squared); reprojection (per cent of the body's height in the picture);
detect (ms a frame: finding, following, six passes of landmarks, writing); fit (seconds).
"""


def run_stage(stage: Stage, folder: Path, **settings: Any) -> None:
    """Runs a stage of the chain in `folder`."""
    output, scratch = folder / stage.name, folder / f"{stage.name}.scratch"
    output.mkdir()
    scratch.mkdir()
    chosen = stage.settings(**settings)
    inputs = {name: folder / name for name in stage.needs}
    stage.run(Work(inputs, output, scratch, chosen, stage.engine(chosen)))


def measure(
    video: Path, landmark_network: str, focal: float | None = None, truth: np.ndarray | None = None
) -> dict[str, float]:
    """Everything worth knowing of one video; the errors only where the true joints (T, 24, 3) are given."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_stage(frames.STAGE, folder, video=video, focal=focal)
        begun = time.process_time()
        run_stage(detect.STAGE, folder, landmarks=landmark_network)
        found = time.process_time()
        clip = frames.Frames.load(folder / "frames")
        landmarks = Landmarks.load(folder / "detect" / "landmarks.npz")
        body = load_embedded_body()
        loaded = time.process_time()
        fit = fit_poses(landmarks, clip.K, clip.fps, body)
        fitted = time.process_time()
    tall = fit.height * clip.K[1, 1] / fit.joints[:, 0, 2]
    row = {
        "frames": len(clip),
        "seen": int(fit.valid.sum()),
        "reprojection": 100 * float(np.nanmean(fit.reprojection / tall)),
        "detect": 1000 * (found - begun) / len(clip),
        "fit": fitted - loaded,
    }
    if truth is not None:
        true = truth[clip.source_index]
        row |= {error.__name__: error(fit.joints, true) for error in ERRORS}
    return row


def look_time(landmark_network: str) -> float:
    """Processor time of one look at the person of the example clip, ms."""
    with av.open(str(EXAMPLE)) as video:
        picture = next(video.decode(video=0)).to_ndarray(format="rgb24")
    with BlazePose(weights.require("blazepose_heavy") if landmark_network == "heavy" else None) as engine:
        circle = engine.detect(picture)[0].circle
        begun = time.process_time()
        for _ in range(LOOKS):
            engine.observe(picture, circle)
        return 1000 * (time.process_time() - begun) / LOOKS


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def numbers(row: dict[str, float], names: Iterable[str]) -> list[str]:
    decimals = {"frames": 0, "seen": 0, "reprojection": 2, "detect": 0, "fit": 1}
    return [f"{row[name]:.{decimals.get(name, 1)}f}" for name in names]


def section(shared: Path, landmark_network: str) -> str:
    """The tables of one landmark network."""
    sequences = {}
    for folder in sorted((shared / "bench").glob("seq*")):
        with np.load(folder / "gt.npz", allow_pickle=False) as gt:
            focal, truth = float(gt["K"][0, 0]), gt["joints_cam"]
        sequences[folder.name] = measure(folder / "video.mp4", landmark_network, focal, truth)
    real = {name: measure(shared / "clips" / f"{name}.mp4", landmark_network) for name in CLIPS}

    columns = [*(error.__name__ for error in ERRORS), "reprojection", "detect", "fit"]
    mean = {name: float(np.mean([row[name] for row in sequences.values()])) for name in columns}
    return "\n".join(
        [
            f"## Landmarks: {landmark_network}",
            "",
            f"One look takes {look_time(landmark_network):.0f} ms.",
            "",
            table(
                ["sequence", "MPJPE", "PA", "camera", "scaled", "accel", "reproj. %", "detect ms", "fit s"],
                [[name, *numbers(row, columns)] for name, row in {**sequences, "mean": mean}.items()],
            ),
            "",
            "Real clips:",
            "",
            table(
                ["clip", "frames", "seen", "reproj. %", "detect ms", "fit s"],
                [
                    [name, *numbers(row, ("frames", "seen", "reprojection", "detect", "fit"))]
                    for name, row in real.items()
                ],
            ),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    root = Path(__file__).parents[1]
    beside = Path(os.environ.get("HSPLAT_SHARED", root / "../shared"))
    parser.add_argument("--shared", type=Path, default=beside, help="the folder of benchmark sequences")
    parser.add_argument(
        "--landmarks", nargs="+", choices=("full", "heavy"), default=["full"], help="which networks look"
    )
    arguments = parser.parse_args()

    if not (arguments.shared / "bench").is_dir():
        parser.error(f"there are no benchmark sequences in {arguments.shared}/bench")
    sections = [section(arguments.shared, network) for network in arguments.landmarks]
    text = "\n".join([HEADER, *sections])
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
