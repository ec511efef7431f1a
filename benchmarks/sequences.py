"""The benchmark sequences as the optimiser may see them, with their truth; and harder ones made of them."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from models.avatar import Evidence
from models.avatar.scoring import View
from models.body import Motion
from stages.base import Work
from stages.evaluate.truth import Truth, pose_views
from stages.optimize import OptimizeSettings
from stages.optimize.learning import gather
from stages.video import write_video

DARK = 3  # the person's pixels are divided by this
FAST = 2  # every so-manieth frame, as if the next one
STAGES = ("frames", "detect", "poses", "masks", "depth")  # what the optimisation needs, from a video alone

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Stress:
    """How a sequence is made harder."""

    fast: bool = False
    dark: bool = False

    def __str__(self) -> str:
        return " ".join(name for name in ("fast", "dark") if getattr(self, name))


@dataclass(frozen=True, eq=False)
class Sequence:
    """One sequence.

    Attributes:
        name: its folder's.
        evidence: what the optimiser may see.
        truth: of the whole sequence.
        rows: (T,) the truth's row for every frame of the evidence.
        novel_views, novel_poses: true pictures, the truth's poses with them.
        height: the person's, metres.
        start_seconds: what it took to get the evidence from the video; 0 where it was given.
    """

    name: str
    evidence: Evidence
    truth: Truth
    rows: NDArray[np.int64]
    novel_views: list[View]
    novel_poses: list[View]
    height: float
    start_seconds: float = 0.0

    def true_masks(self, frames: list[int]) -> list[Image]:
        """Of some frames, at the evidence's size."""
        height, width = self.evidence.images[0].shape[:2]
        return [self.truth.mask(int(self.rows[t]), width, height) for t in frames]

    def with_true_poses(self) -> "Sequence":
        """The same, starting from the truth instead of an estimate."""
        with np.load(self.truth.path) as data:
            true = {name: data[name] for name in ("poses_cam", "trans_cam", "betas", "K", "width", "height")}
        height, width = self.evidence.images[0].shape[:2]
        zoom = np.array([width / true["width"], height / true["height"], 1.0])
        evidence = replace(
            self.evidence,
            poses=true["poses_cam"][self.rows].astype(np.float32),
            trans=true["trans_cam"][self.rows].astype(np.float32),
            betas=true["betas"].astype(np.float32),
            posed=np.ones(len(self.evidence), bool),
            K=zoom[:, None] * true["K"],
        )
        return replace(self, evidence=evidence)


def names(bench: Path) -> list[str]:
    """The sequences' folders."""
    return sorted(path.parent.name for path in bench.glob("*/gt.npz"))


def person_height(folder: Path) -> float:
    """Metres."""
    return float(json.loads((folder / "meta.json").read_text())["height_m"])


def load(
    folder: Path,
    start: str = "init",
    depth: bool = False,
    stress: Stress = Stress(),
    workspace: Path | None = None,
) -> Sequence:
    """Reads a sequence.

    Args:
        folder: of the sequence.
        start: "init", the noisy initial poses with the true masks and camera; "video", what the embedded
            engines make of nothing but the video; or "heavy", the same with BlazePose's heavy network.
        depth: with the relative depth maps.
        stress: how to make it harder.
        workspace: as `prepare` left it; not for "init".
    """
    truth = Truth.load(folder / "gt.npz")
    rows = np.arange(0, len(truth), FAST if stress.fast else 1)
    seconds = 0.0
    if start == "init":
        evidence = _given(folder, truth, rows, stress)
    else:
        assert workspace is not None
        evidence, index, seconds = _found(workspace)
        rows = rows[index]
    if depth:
        with np.load(folder / "depth_relative.npz") as data:
            evidence = replace(evidence, disparity=data["disparity"][rows])
    views = truth.views(folder / "novel"), pose_views(folder / "novel_pose")
    if stress.dark:
        views = tuple(
            [replace(view, image=darkened(view.image, view.mask)) for view in each] for each in views
        )
    return Sequence(folder.name, evidence, truth, rows, *views, person_height(folder), seconds)


def darkened(image: Image, mask: Image) -> Image:
    """The picture with the person's pixels at a third of their brightness."""
    share = 1 - (1 - 1 / DARK) * (mask[..., None] / 255)
    return (image * share).round().astype(np.uint8)


def pictures(folder: Path, truth: Truth, rows: NDArray[np.int64], stress: Stress) -> list[Image]:
    """The video's, of some rows."""
    with av.open(str(folder / "video.mp4")) as video:
        images = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    chosen = [images[row] for row in rows]
    if not stress.dark:
        return chosen
    size = chosen[0].shape[1::-1]
    return [darkened(i, truth.mask(int(row), *size)) for i, row in zip(chosen, rows, strict=True)]


def _given(folder: Path, truth: Truth, rows: NDArray[np.int64], stress: Stress) -> Evidence:
    with np.load(folder / "init.npz") as data:
        initial = {name: data[name] for name in data.files}
    assert truth.masks is not None and truth.fps is not None
    return Evidence(
        images=pictures(folder, truth, rows, stress),
        masks=list(truth.masks[rows]),
        K=initial["K"],
        fps=truth.fps,
        valid=np.ones(len(rows), bool),
        poses=initial["poses"][rows],
        trans=initial["trans"][rows],
        betas=initial["betas"],
        posed=np.ones(len(rows), bool),
    )


def _found(workspace: Path) -> tuple[Evidence, NDArray[np.int64], float]:
    """The evidence in a workspace, the video's pictures that it is of, and the seconds that it took."""
    folders = {name: workspace / name for name in STAGES}
    motion = Motion.load(folders["poses"] / "motion.npz")
    work = Work(folders, workspace, workspace, OptimizeSettings(), "numba")
    manifests = (json.loads((folder / "manifest.json").read_text()) for folder in folders.values())
    return gather(work, motion), motion.frame, sum(manifest["seconds"] for manifest in manifests)


def prepare(folder: Path, start: str, stress: Stress, height: float | None, cache: Path) -> Path:
    """Runs the engines on a sequence's video, once; gives the workspace.

    Args:
        folder: of the sequence.
        start: "video" or "heavy", see `load`; the latter's weights must be here.
        height: given with --height, or None.
        cache: where the workspaces are; another process may be at work there.
    """
    label = "-".join([folder.name, *str(stress).split(), *(["height"] if height else [])])
    landmarks = "heavy" if start == "heavy" else "full"
    video, workspace = cache / f"{label}.mp4", cache / f"{label}-{landmarks}.hsplat"
    with held(cache / f"{label}.lock"):
        if str(stress):
            if not video.exists():
                truth = Truth.load(folder / "gt.npz")
                rows = np.arange(0, len(truth), FAST if stress.fast else 1)
                write_video(video, pictures(folder, truth, rows, stress), truth.fps or 15.0)
        else:
            video = folder / "video.mp4"
        call = [sys.executable, "-m", "pipeline", "run", video, "--workspace", workspace, "--until", "depth"]
        options = ["--set", f"detect.landmarks={landmarks}"]
        options += ["--height", str(height)] if height else []
        subprocess.run(
            [*map(str, call), *options], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
    return workspace


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Waits for a lock and holds it; the operating system drops it with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether a lock is free; it is held meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
