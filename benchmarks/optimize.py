"""Measures the joint optimisation on the benchmark sequences, from their noisy initial poses.

    python benchmarks/optimize.py ../shared/bench [VARIANT ...] [--seed N] [--set KEY=VALUE ...]

Variants: "joint", "joint + depth", "joint + depth + height" and "frozen" (initial poses never move), or
"speed", which times single steps. The masks are the truth's, depth is `depth_relative.npz`; truth is used
for nothing else but the figures. One setting for all sequences.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import psutil
import torch
import yaml

from models.avatar import Avatar, Evidence, OptimiserSettings, Result, optimise
from models.avatar.gaussians import Gaussians
from models.avatar.observations import Crop, Crops, mask_boxes
from models.avatar.phases import Phase, Plan, Scene
from models.avatar.surface import spread
from models.avatar.trajectory import Scale, Trajectory
from models.body import load_embedded_body
from models.metrics.image import agreement
from models.metrics.pose import acceleration_error, global_mpjpe, mpjpe, pa_mpjpe, scaled_global_mpjpe

SEQUENCES = ("seq01_walk_circle", "seq02_apose_turn", "seq05_kata")
TIMED_STEPS = 60
FROZEN = {"alignment_steps": 0, "silhouette_steps": 0, "joint_steps": 0, "appearance_steps": 700}
VARIANTS: dict[str, dict[str, Any]] = {
    "joint": {},
    "joint + depth": {},
    "joint + depth + height": {},
    "frozen": FROZEN,
}
COLUMNS = (
    "MPJPE", "PA", "global", "global s", "accel", "held-out PSNR", "fitted", "SSIM", "IoU",
    "novel view", "novel pose", "CPU s", "s", "MB",
)  # fmt: skip


@dataclass(frozen=True)
class Sequence:
    """One benchmark sequence: what the optimiser may see, and the truth."""

    folder: Path
    truth: dict[str, np.ndarray]
    evidence: Evidence
    height: float


def load(folder: Path, depth: bool) -> Sequence:
    initial = np.load(folder / "init.npz")
    truth = dict(np.load(folder / "gt.npz"))
    count = len(initial["poses"])
    with av.open(str(folder / "video.mp4")) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    evidence = Evidence(
        images=images,
        masks=list(np.load(folder / "masks.npz")["masks"]),
        K=initial["K"],
        fps=float(truth["fps"]),
        valid=np.ones(count, bool),
        poses=initial["poses"],
        trans=initial["trans"],
        betas=initial["betas"],
        posed=np.ones(count, bool),
        disparity=np.load(folder / "depth_relative.npz")["disparity"] if depth else None,
    )
    height = json.loads((folder / "meta.json").read_text())["height_m"]
    return Sequence(folder, truth, evidence, height)


def pose_errors(joints: np.ndarray, truth: np.ndarray) -> list[float]:
    """MPJPE, PA-MPJPE, camera space, the same with one scale removed, acceleration; mm."""
    measures = (mpjpe, pa_mpjpe, global_mpjpe, scaled_global_mpjpe, acceleration_error)
    return [measure(joints, truth) for measure in measures]


def tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float32))


def compare(
    avatar: Avatar, pose: np.ndarray, pelvis: np.ndarray, K: np.ndarray, picture: Path, T: np.ndarray
) -> float:
    """Crop PSNR over white of the avatar, its pelvis where the truth's is, against a true picture."""
    image = cv2.imread(str(picture), cv2.IMREAD_COLOR_RGB) / 255
    mask = cv2.imread(str(picture.with_name(picture.stem + "_mask.png")), cv2.IMREAD_GRAYSCALE) / 255
    height, width = mask.shape
    trans = tensor(pelvis) - avatar.rest_joints[0]
    drawn = avatar.render(tensor(pose), trans, tensor(K), width, height, T_cam_world=tensor(T)).numpy()
    return agreement(image, mask, drawn[..., :3], drawn[..., 3]).psnr_crop


def novel_views(sequence: Sequence, avatar: Avatar) -> float:
    """Mean over the two other cameras, the avatar in the truth's poses."""
    folder, truth = sequence.folder / "novel", sequence.truth
    cameras = np.load(folder / "cameras.npz")
    values = []
    for number, T_world_cam in enumerate(cameras["T_world_cam"]):
        K = cameras["K"] if cameras["K"].ndim == 2 else cameras["K"][number]
        for t in cameras["frame_indices"]:
            T = np.linalg.inv(T_world_cam) @ truth["T_world_cam"][t]
            picture = folder / f"cam{number}_frame{t:03d}.png"
            values.append(compare(avatar, truth["poses_cam"][t], truth["joints_cam"][t, 0], K, picture, T))
    return float(np.mean(values))


def novel_poses(sequence: Sequence, avatar: Avatar) -> float:
    """Mean over the held-out poses, seen by the first camera."""
    folder = sequence.folder / "novel_pose"
    truth = np.load(folder / "gt.npz")
    rows = zip(truth["poses_cam"], truth["joints_cam"][:, 0], strict=True)
    values = [
        compare(avatar, pose, pelvis, truth["K"], folder / f"pose{i}.png", np.eye(4))
        for i, (pose, pelvis) in enumerate(rows)
    ]
    return float(np.mean(values))


def measure(sequence: Sequence, settings: OptimiserSettings) -> tuple[Result, list[float]]:
    """The result, and its figures in the order of COLUMNS."""
    process, wall, cpu = psutil.Process(), time.perf_counter(), time.process_time()
    result = optimise(sequence.evidence, load_embedded_body(), settings)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    held_out = result.history["held_out"]
    after = held_out["interpolated poses"] or held_out["initial poses"]
    fitted = held_out["fitted poses"]
    figures = [
        *pose_errors(result.joints.numpy(), sequence.truth["joints_cam"]),
        after["psnr"],
        fitted["psnr"],
        after["ssim"],
        after["iou"],
        novel_views(sequence, result.avatar),
        novel_poses(sequence, result.avatar),
        cpu,
        wall,
        process.memory_info().rss / 2**20,
    ]
    return result, figures


def row(cells: list[str], figures: list[float]) -> str:
    digits = (1, 1, 1, 1, 1, 2, 2, 3, 3, 2, 2, 0, 0, 0)
    numbers = [f"{value:.{d}f}" for value, d in zip(figures, digits, strict=False)]
    return "| " + " | ".join((*cells, *numbers)) + " |"


def run_variant(name: str, bench: Path, seed: int, changes: dict[str, Any], keep: Path | None) -> None:
    """Prints one variant's row for every sequence, and their mean."""
    print("| variant | seed | sequence | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 3) + "|")
    collected = []
    for folder in (bench / s for s in SEQUENCES):
        sequence = load(folder, "depth" in name)
        values = {"seed": seed, **VARIANTS[name], **changes}
        if "height" in name:
            values["height"] = sequence.height
        result, figures = measure(sequence, OptimiserSettings(**values))
        collected.append(figures)
        print(row([name, str(seed), folder.name], figures), flush=True)
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            result.avatar.save(keep / f"{name}_{folder.name}.npz")
    print(row([name, str(seed), "mean"], np.mean(collected, axis=0).tolist()), flush=True)


def speed(bench: Path) -> None:
    """Whole optimisation steps of the joint phase, at two sizes: steps a second, CPU milliseconds."""
    sequence = load(bench / SEQUENCES[1], depth=False)
    print("| Gaussians, picture | steps/s | CPU ms/step |")
    print("|---|---|---|")
    for count, height, width in ((5000, 256, 256), (20_000, 512, 384)):
        seconds, cpu = step_seconds(sequence.evidence, count, height, width)
        print(f"| {count} at {width}x{height} | {1 / seconds:.1f} | {1000 * cpu:.1f} |", flush=True)


class Resized:
    """Crops brought to one size; the person is stretched, which costs what an unstretched one would."""

    def __init__(self, crops: Crops, height: int, width: int) -> None:
        self.crops, self.size = crops, (width, height)

    def __getitem__(self, frame: int) -> Crop:
        crop = self.crops[frame]
        zoom = torch.tensor([self.size[0] / crop.width, self.size[1] / crop.height, 1.0])
        image, mask = (cv2.resize(a.numpy(), self.size) for a in (crop.image, crop.mask))
        return replace(
            crop, image=torch.from_numpy(image), mask=torch.from_numpy(mask), K=zoom[:, None] * crop.K
        )


def step_seconds(evidence: Evidence, count: int, height: int, width: int) -> tuple[float, float]:
    """Seconds and CPU seconds of a whole step of the joint phase: kinematics, skinning, picture, L1, SSIM,
    alpha, coupling, all gradients, Adam."""
    body, settings = load_embedded_body(), OptimiserSettings()
    trajectory = Trajectory(
        *(tensor(a) for a in (evidence.poses, evidence.trans, evidence.betas)), body, [Scale(1.2)]
    )
    gaussians = Gaussians(spread(body, count, seed=0))
    boxes = mask_boxes(evidence.masks, evidence.valid)
    frames = np.arange(len(evidence))
    crops = Resized(Crops(evidence, boxes, frames, height, torch.device("cpu")), height, width)
    scene = Scene(trajectory, gaussians, evidence.fps, settings, None, None, False, None)
    plan = Plan(
        name="joint",
        steps=10_000,
        frames=frames.tolist(),
        coarse=crops,
        fine=crops,
        coarse_until=0,
        moves_motion=True,
        moves_shape=True,
        moves_avatar=True,
        uses_color=True,
        smoothness=settings.weights.rendered_smoothness,
        pace=1.0,
        warm_up=0,
        seed=0,
    )
    phase = Phase(scene, plan)
    for _ in range(5):
        phase.step()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(TIMED_STEPS):
        phase.step()
    return (time.perf_counter() - wall) / TIMED_STEPS, (time.process_time() - cpu) / TIMED_STEPS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", type=Path)
    parser.add_argument("variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--keep", type=Path, help="folder for the avatars")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # as the stage does
    changes = {key: yaml.safe_load(value) for key, value in (item.split("=") for item in arguments.set)}
    for name in arguments.variants:
        if name == "speed":
            speed(arguments.bench)
        else:
            run_variant(name, arguments.bench, arguments.seed, changes, arguments.keep)


if __name__ == "__main__":
    main()
