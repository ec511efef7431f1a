"""Stage export: the files that people use, made of what the other stages found."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from scipy.spatial.transform import Rotation

from models.avatar import Avatar
from models.body import load_body
from models.formats import Splats, write_ply
from stages import footage
from stages.assessment import Facts, advice, gather, metrics, write_json
from stages.base import Settings, Stage, Work
from stages.charts import Chart, Line
from stages.clip import Clip, evenly
from stages.report import Comparison, OutputFile, Page, Picture, StageRow, Tile, write_report
from stages.video import write_video

NEEDS = ("frames", "detect", "poses", "masks", "depth", "optimize")

OUTPUTS = {
    "avatar.ply": "the avatar in its rest pose, for viewers of Gaussian splats",
    "avatar.npz": "the avatar with its skeleton, for this program and for Python",
    "motion.npz": "the motion, refined",
    "motion_initial.npz": "the motion as first estimated",
    "overlay.mp4": "the body's outline over the video, before and after",
    "avatar.mp4": "the video, the avatar, and the avatar from the side",
    "turntable.mp4": "the avatar from all sides",
    "metrics.json": "the figures of this page",
}
_TURNTABLE_FPS = 24.0
_REPORT_FRAMES = 4
_SIDES = (("Front", 0.0), ("Left", np.pi / 2), ("Back", np.pi), ("Right", 3 * np.pi / 2))
_MAX_LINES = 8


class ExportSettings(Settings):
    """What the exported files are like."""

    body: Path | None = Field(None, description="the SMPL file that the poses are for; the embedded body if unset")
    video_height: int = Field(640, ge=64, le=2160, description="height of the videos' pictures, pixels")
    video_frames: int = Field(300, ge=2, le=100_000, description="at most so many pictures a video; longer clips are thinned")
    turntable_frames: int = Field(72, ge=4, le=1440, description="pictures of one turn, at 24 a second")
    ply_up: Literal["y", "-y"] = Field("y", description="axis that points up in avatar.ply; many viewers of splats expect -y")


def run(work: Work) -> dict[str, Any]:
    """Writes the files of `OUTPUTS` and report.html.

    Raises:
        InputError: the body file cannot be used.
        StageError: the disk is full, or the stages before disagree.
    """
    settings: ExportSettings = work.settings
    clip = Clip.load(work.inputs, load_body(settings.body))
    manifests = {name: json.loads((work.inputs[name] / "manifest.json").read_text()) for name in NEEDS}
    history = json.loads((work.inputs["optimize"] / "history.json").read_text())
    _copy_results(work)
    write_ply(work.output / "avatar.ply", splats(clip.avatar, settings.ply_up), ply_comments(settings.ply_up))
    turntable = footage.Turntable(clip.avatar, settings.video_height)
    _write_videos(work, clip, turntable)
    facts = gather(clip, work.inputs, history)
    figures = metrics(facts, manifests)
    write_json(work.output / "metrics.json", figures)
    write_report(work.output / "report.html", page(...))
    return ...
