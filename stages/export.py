"""Stage export: the files that people use, made of what the other stages found."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field
from scipy.spatial.transform import Rotation

from models.avatar import Avatar
from models.body import load_body
from models.drawing import Image
from models.formats import Splats, write_ply
from stages import report
from stages.assessment import gather, metrics, write_json
from stages.base import Progress, Settings, Stage, Work
from stages.clip import Clip, evenly
from stages.footage import Turntable, comparison, overlay
from stages.frames import full_disk_told
from stages.page import write_page
from stages.video import write_video

NEEDS = ("frames", "detect", "poses", "masks", "depth", "optimize")
FILES = {
    "avatar.mp4": "the video, the avatar, and the avatar from the side",
    "turntable.mp4": "the avatar from all sides",
    "overlay.mp4": "the body's outline over the video, before and after",
    "avatar.ply": "the avatar in its rest pose, for viewers of Gaussian splats",
    "avatar.npz": "the avatar with its skeleton, for this program and for Python",
    "motion.npz": "the refined motion",
    "motion_initial.npz": "the motion as first estimated",
    "metrics.json": "the report's figures",
}
REPORT = {"report.html": "what was made, how good it is, what to do better"}

TURNTABLE_FPS = 24.0
# Half a turn about x: what was up is down, what was in front is behind.
_UPSIDE_DOWN = Rotation.from_euler("x", np.pi)


class ExportSettings(Settings):
    """What the exported files are like."""

    body: Path | None = Field(
        None, description="the SMPL file that the motion is for; unset: the embedded body"
    )
    video_height: int = Field(640, ge=64, le=2160, description="of the videos, at most, pixels")
    video_frames: int = Field(300, ge=2, le=100_000, description="a video, at most; longer clips are thinned")
    turntable_frames: int = Field(72, ge=4, le=1440, description="of one turn, at 24 a second")
    ply_up: Literal["y", "-y"] = Field("y", description="the axis that points up in avatar.ply")


def run(work: Work) -> dict[str, Any]:
    """Writes the files of `FILES` and the report.

    Raises:
        InputError: the body's file cannot be used.
        StageError: the disk is full, or the earlier stages disagree.
    """
    settings: ExportSettings = work.settings
    clip = Clip.load(work.inputs, load_body(settings.body))
    manifests = {name: json.loads((work.inputs[name] / "manifest.json").read_text()) for name in NEEDS}
    history = json.loads((work.inputs["optimize"] / "history.json").read_text())
    with full_disk_told(work.output):
        _copy_results(work)
        _write_ply(work.output / "avatar.ply", clip.avatar, settings.ply_up)
        turntable = Turntable(clip.avatar, settings.video_height)
        _write_videos(work, clip, turntable)
        facts = gather(clip, work.inputs, history)
        figures = metrics(facts, manifests)
        write_json(work.output / "metrics.json", figures)
        sides = list(turntable.turn(4))
        page = report.build(clip, facts, manifests, history, sides, FILES, work.output)
        write_page(work.output / "report.html", page)
    return {
        "held_out": figures["held_out"],
        "avatar_iou": figures["silhouette_iou"]["avatar"],
        "files": REPORT | FILES,
    }


def splats(avatar: Avatar, up: Literal["y", "-y"] = "y") -> Splats:
    """The avatar's Gaussians in its rest pose: metres, facing +Z with Y up, or facing -Z with -Y up."""
    means, quaternions = avatar.means.numpy(), avatar.quaternions.numpy()
    if up == "-y":
        means = _UPSIDE_DOWN.apply(means).astype(np.float32)
        turned = _UPSIDE_DOWN * Rotation.from_quat(quaternions, scalar_first=True)
        quaternions = turned.as_quat(scalar_first=True).astype(np.float32)
    return Splats(
        means=means,
        rotations=quaternions,
        scales=avatar.log_scales.exp().numpy(),
        colors=avatar.colors.numpy(),
        opacities=avatar.opacity_logits.sigmoid().numpy(),
    )


def _write_ply(path: Path, avatar: Avatar, up: Literal["y", "-y"]) -> None:
    facing = {"y": "Y up, facing +Z, the person's left towards +X", "-y": "-Y up, facing -Z, left towards +X"}
    write_ply(path, splats(avatar, up), [f"rest pose (T-pose), metres, {facing[up]}"])


def _copy_results(work: Work) -> None:
    sources = {
        "avatar.npz": work.inputs["optimize"] / "avatar.npz",
        "motion.npz": work.inputs["optimize"] / "motion.npz",
        "motion_initial.npz": work.inputs["poses"] / "motion.npz",
    }
    for name, source in sources.items():
        shutil.copyfile(source, work.output / name)


def _write_videos(work: Work, clip: Clip, turntable: Turntable) -> None:
    settings: ExportSettings = work.settings
    indices = evenly(range(len(clip.frames)), settings.video_frames)
    fps = clip.frames.fps * len(indices) / len(clip.frames)
    videos = {
        "overlay.mp4": (overlay(clip, indices, settings.video_height), len(indices), fps),
        "avatar.mp4": (comparison(clip, indices, settings.video_height), len(indices), fps),
        "turntable.mp4": (
            turntable.turn(settings.turntable_frames),
            settings.turntable_frames,
            TURNTABLE_FPS,
        ),
    }
    done, total = 0, sum(count for _, count, _ in videos.values())
    for name, (pictures, count, rate) in videos.items():
        write_video(work.output / name, _told(work.progress, pictures, done, total, name), rate)
        done += count


def _told(progress: Progress, pictures: Iterable[Image], done: int, total: int, name: str) -> Iterator[Image]:
    for number, picture in enumerate(pictures, start=done + 1):
        progress(number, total, name)
        yield picture


STAGE = Stage(
    name="export",
    version=1,
    needs=NEEDS,
    settings=ExportSettings,
    run=run,
    engine=lambda settings: "numba",
    title="Writing videos, files and the report",
)
