"""Measures the joint optimisation on the benchmark sequences, from their noisy initial poses.

    python benchmarks/optimize.py --shared ../shared

Truth is used for the figures alone. Masks are the truth's; depth, where asked for, is the relative one.
"""

from pathlib import Path

import av
import numpy as np

from models.avatar.observations import Evidence
from models.metrics.pose import acceleration_error, global_mpjpe, mpjpe, pa_mpjpe, scaled_global_mpjpe

SEQUENCES = ("seq01_walk_circle", "seq02_apose_turn", "seq05_kata")


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as video:
        return [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]


def evidence_of(folder: Path, depth: bool) -> Evidence:
    initial = np.load(folder / "init.npz")
    count = len(initial["poses"])
    return Evidence(
        images=pictures(folder / "video.mp4"),
        masks=list(np.load(folder / "masks.npz")["masks"]),
        K=initial["K"],
        fps=float(np.load(folder / "gt.npz")["fps"]),
        valid=np.ones(count, bool),
        poses=initial["poses"],
        trans=initial["trans"],
        betas=initial["betas"],
        posed=np.ones(count, bool),
        disparity=np.load(folder / "depth_relative.npz")["disparity"] if depth else None,
    )


def pose_errors(joints: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    return {
        "mpjpe": mpjpe(joints, truth),
        "pa": pa_mpjpe(joints, truth),
        "global": global_mpjpe(joints, truth),
        "global_s": scaled_global_mpjpe(joints, truth),
        "accel": acceleration_error(joints, truth),
    }
