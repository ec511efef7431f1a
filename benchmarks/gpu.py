"""Measures the optimisation on CUDA: python -m benchmarks.gpu [--write], from the repository root.

The clip is synthetic: the embedded body in coloured stripes, turning and swinging its limbs, drawn by gsplat.
Its initial motion is the true one with noise. "alone" is gsplat's rasteriser, forward and backward, on the
same Gaussians and pictures: the limit. A step is one of the joint phase, with all its gradients and Adam.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from benchmarks.steps import joint_phase
from models import gpu
from models.avatar import Avatar, Evidence, OptimiserSettings, optimise
from models.avatar.gaussians import Gaussians
from models.avatar.observations import Crops, mask_boxes, together
from models.avatar.phases import Phase
from models.avatar.posing import pose_ellipsoids
from models.avatar.surface import spread
from models.body import BodyModel, load_embedded_body
from models.cameras import Camera
from models.rasterizer import render

SIZES, COUNTS, PER_STEP = (256, 512, 1024), (10_000, 50_000, 200_000), (1, 4)
WARM_UP, TIMED, PROFILED = 10, 60, 20  # steps
GSPLAT_TARGET = 0.7  # least share of a step that gsplat's kernels should take
PARTS = {  # of a kernel's name, first match counts; the names are those of gsplat 1.5, cub and PyTorch
    "gsplat": ("gsplat", "rasterize_to_pixels", "projection_ewa", "intersect_", "RadixSort"),
    "optimiser": ("FusedAdam", "multi_tensor_apply", "fused_adam"),
    "SSIM": ("conv",),
    "skinning, kinematics": ("gemm", "gemv", "cutlass", "cublas", "bmm"),
    "median": ("Median", "median"),
}
OTHER, GAPS = "elementwise and reductions", "host: nothing runs on the GPU"


@dataclass(frozen=True)
class Target:
    """A preset that should finish a clip of some seconds within a time."""

    preset: str
    pixels: int
    frames: int
    fps: float
    seconds: float


TARGETS = (Target("default", 512, 150, 15.0, 30.0), Target("quality", 1024, 300, 30.0, 180.0))


def settings_of(preset: str) -> OptimiserSettings:
    """The section `optimize` of default.yaml with that of the preset over it."""
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(("default", preset)):
        merged |= yaml.safe_load((files("configs") / f"{name}.yaml").read_text()).get("optimize", {})
    return OptimiserSettings(**{k: v for k, v in merged.items() if k in OptimiserSettings.model_fields})


def motion(frames: int, fps: float) -> tuple[Tensor, Tensor]:
    """Poses (T,72) and trans (T,3) of somebody who turns once in eight seconds, swinging arms and legs."""
    t = torch.arange(frames) / fps
    poses = torch.zeros(frames, 24, 3)
    half = (
        t * torch.pi / 8
    )  # the turn's half angle about y, after half a turn about x: upright before the camera
    poses[:, 0] = torch.stack((torch.pi * half.cos(), torch.zeros_like(t), -torch.pi * half.sin()), 1)
    poses[:, 16, 2], poses[:, 17, 2] = -0.9 + 0.5 * (3 * t).sin(), 0.9 - 0.5 * (3 * t).cos()
    poses[:, 1, 0], poses[:, 2, 0] = 0.5 * (3 * t).sin(), -0.5 * (3 * t).sin()
    return poses.flatten(1), torch.tensor([0.0, 0.2, 3.2]).expand(frames, 3).clone()


def person(body: BodyModel, count: int = 50_000) -> Avatar:
    """The body in stripes."""
    surface = spread(body, count, seed=3)
    gaussians = Gaussians(surface)
    height = surface.template[:, 1:2]
    return Avatar(
        means=surface.template,
        quaternions=gaussians.quaternions.detach(),
        log_scales=gaussians.log_scales.detach(),
        opacity_logits=gaussians.opacity_logits.detach() + 2,
        colors=0.5 + 0.4 * torch.sin(torch.cat((9 * height, 14 * height + 1, 7 * height + 2), dim=1)),
        weights=surface.weights,
        rest_joints=body.joint_template,
        parents=torch.tensor(body.parents),
        betas=torch.zeros(10),
        body=body.kind,
        coverage=torch.ones(count),
    )


def filmed(avatar: Avatar, pixels: int, frames: int, fps: float) -> Evidence:
    """A clip of `pixels` x `pixels` with the person about .8 of that high, on the avatar's device."""
    device = avatar.means.device
    K = torch.tensor([[1.4 * pixels, 0, pixels / 2], [0, 1.4 * pixels, pixels / 2], [0, 0, 1]])
    camera = Camera(K, pixels, pixels).to(device)
    poses, trans = motion(frames, fps)
    images, masks = [], []
    for pose, shift in zip(poses.to(device), trans.to(device), strict=True):
        drawn = avatar.pose(pose, shift).render(camera)
        drawn = (drawn * 255).clamp(0, 255).byte().cpu()
        images.append(drawn[..., :3].numpy())
        masks.append(drawn[..., 3].numpy())
    random = np.random.default_rng(0)
    return Evidence(
        images=images,
        masks=masks,
        K=K.double().numpy(),
        fps=fps,
        valid=np.ones(frames, bool),
        poses=(poses.numpy() + 0.1 * random.normal(size=poses.shape)).astype(np.float32),
        trans=(trans.numpy() + 0.03 * random.normal(size=trans.shape)).astype(np.float32),
        betas=np.zeros(10, np.float32),
        posed=np.ones(frames, bool),
    )


def phase_on(
    evidence: Evidence, body: BodyModel, count: int, pixels: int, per_step: int, device: str
) -> Phase:
    """A joint phase on crops with the person 0.8 `pixels` large, so that they are about `pixels` high."""
    settings = OptimiserSettings(frames_per_step=per_step)
    boxes = mask_boxes(evidence.masks, evidence.valid)
    frames = np.arange(len(evidence))
    crops = Crops(evidence, boxes, frames, round(0.8 * pixels), torch.device(device))
    return joint_phase(evidence, body, crops, count, settings, steps=1000)


def rasteriser_alone(phase: Phase) -> Callable[[], object]:
    """Forward and backward of `render` on what the phase would draw in its next step."""
    crops, frames = phase.plan.fine, phase.draws.frames[phase.step_number]
    crop, scene, g = together([crops[t] for t in frames]), phase.scene, phase.scene.gaussians
    with torch.no_grad():
        transforms = scene.trajectory(phase.timetable.frames[phase.step_number]).transforms
        rest = g.means(scene.trajectory.betas)
        posed = pose_ellipsoids(rest, g.quaternions, g.log_scales, g.surface.weights, transforms)
    means, covariances = (tensor.requires_grad_() for tensor in posed)
    colors = g.colors.detach().expand(*means.shape).clone().requires_grad_()
    opacities = g.opacity_logits.detach().sigmoid().expand(means.shape[:2]).clone().requires_grad_()
    inputs = (means, covariances, colors, opacities)

    def call() -> object:
        drawn = render(*inputs, crop.K, crop.width, crop.height)
        return torch.autograd.grad(drawn, inputs, [torch.ones_like(picture) for picture in drawn])

    return call


def seconds_each(call: Callable[[], object], warm_up: int = WARM_UP, timed: int = TIMED) -> float:
    """The mean wall time of a call, the device's work included."""
    for _ in range(warm_up):
        call()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(timed):
        call()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / timed


def part_of(kernel: str) -> str:
    """Which row of the profile a kernel counts for."""
    for part, words in PARTS.items():
        if any(word in kernel for word in words):
            return part
    return OTHER


def shares(kernels: Iterable[tuple[str, float]], wall: float) -> dict[str, float]:
    """Shares of the wall time by part, from kernels' names and seconds; the rest is the host's.

    They can add up to more than one only if kernels overlap.
    """
    sums: Counter[str] = Counter()
    for name, seconds in kernels:
        sums[part_of(name)] += seconds
    busy = sum(sums.values())
    result = {part: sums[part] / wall for part in (*PARTS, OTHER)}
    return {**result, GAPS: max(0.0, 1 - busy / wall)}


def profiled(phase: Phase) -> dict[str, float]:
    """Shares of a step by part."""
    seconds = seconds_each(
        phase.step, warm_up=3, timed=PROFILED
    )  # without the profiler, which slows the host
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(PROFILED):
            phase.step()
        torch.cuda.synchronize()
    kernels = [(event.key, event.self_device_time_total / 1e6) for event in profile.key_averages()]
    return shares(kernels, seconds * PROFILED)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(header), *(list(row) for row in rows)]
    if any(len(line) != len(lines[0]) for line in lines):
        raise ValueError("rows of different length")
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdict(target: Target, seconds: float) -> list[str]:
    """A target's row: what, allowed, taken, met or missed."""
    what = f"{target.preset} preset, {target.frames} frames at {target.pixels} px"
    return [
        what,
        f"{target.seconds:.0f} s",
        f"{seconds:.1f} s",
        "met" if seconds <= target.seconds else "missed",
    ]


def speeds(body: BodyModel, avatar: Avatar) -> tuple[str, str, float]:
    """The tables of steps and of parts, and the largest share of gsplat's kernels."""
    rows, profiles = [], {}
    for pixels in SIZES:
        evidence = filmed(avatar, pixels, 24, 15.0)
        for count in COUNTS:
            for per_step in PER_STEP:
                torch.cuda.reset_peak_memory_stats()
                phase = phase_on(evidence, body, count, pixels, per_step, "cuda")
                step = seconds_each(phase.step)
                memory = torch.cuda.max_memory_allocated() / 2**20
                alone = seconds_each(rasteriser_alone(phase))
                setup = (f"{count:,}", f"{pixels} px", str(per_step))
                figures = (
                    f"{1 / step:.1f}",
                    f"{per_step / step:.1f}",
                    f"{1000 * alone:.2f}",
                    f"{alone / step:.0%}",
                )
                rows.append((*setup, *figures, f"{memory:.0f}"))
                profiles[setup] = profiled(phase)
                print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    header = (
        "Gaussians",
        "picture",
        "frames a step",
        "steps/s",
        "frames/s",
        "alone, ms",
        "alone / step",
        "peak MiB",
    )
    parts = (*PARTS, OTHER, GAPS)
    by_part = [(*setup, *(f"{profile[part]:.0%}" for part in parts)) for setup, profile in profiles.items()]
    best = max(profile["gsplat"] for profile in profiles.values())
    return table(header, rows), table(("Gaussians", "picture", "frames a step", *parts), by_part), best


def timed_target(target: Target, body: BodyModel, avatar: Avatar) -> float:
    """Seconds of the optimisation alone, from the evidence in memory to the result."""
    evidence = filmed(avatar, target.pixels, target.frames, target.fps)
    torch.cuda.synchronize()
    start = time.perf_counter()
    optimise(evidence, body, settings_of(target.preset), "cuda")
    return time.perf_counter() - start


def report() -> str:
    body = load_embedded_body()
    avatar = person(body).to("cuda")
    few = OptimiserSettings(alignment_steps=5, silhouette_steps=5, joint_steps=10, appearance_steps=5)
    optimise(filmed(avatar, 128, 12, 15.0), body, few, "cuda")  # kernels are built and loaded
    steps, parts, best = speeds(body, avatar)
    rows = [verdict(target, timed_target(target, body, avatar)) for target in TARGETS]
    goal = "met" if best >= GSPLAT_TARGET else "missed"
    rows.append(["share of gsplat's kernels, best case below", f"{GSPLAT_TARGET:.0%}", f"{best:.0%}", goal])
    import gsplat

    return f"""{gpu.device()}; torch {torch.__version__}, gsplat {gsplat.__version__}.

{table(("target", "allowed", "taken", ""), rows)}

{steps}

Share of a step's wall time by kind of kernel (torch's profiler):

{parts}
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="also write benchmarks/gpu.md")
    write = parser.parse_args(arguments).write
    lack = gpu.lack()
    if lack is not None:
        print(f"This needs a GPU: {lack.problem}; {lack.mend}.", file=sys.stderr)
        return 2
    text = report()
    print(text)
    if write:
        about = str(__doc__).split("\n\n", 1)[1]
        page = f"# The optimisation on CUDA\n\nWritten by `python -m benchmarks.gpu --write`. {about}\n{text}"
        Path(__file__).with_suffix(".md").write_text(page)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
