"""Writing what the stage export promises."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from models import drawing
from models.avatar import Avatar
from models.body import load_body
from models.drawing import Image
from models.formats import write_ply
from stages.base import Progress, Work
from stages.disk import full_disk_told
from stages.export import FILES, NEEDS, REPORT, ExportSettings, report
from stages.export.assessment import gather, metrics
from stages.export.clip import Clip, evenly
from stages.export.content import Up, axes, resting
from stages.export.footage import Turntable, by_coverage, comparison, overlay
from stages.export.page import write_page
from stages.export.viewer import write_viewer
from stages.facts import write_json
from stages.images import write_image
from stages.video import write_video

TURNTABLE_FPS = 24.0


def write_outputs(work: Work) -> dict[str, Any]:
    """Does the stage's work; see `stages.export.run`."""
    settings: ExportSettings = work.settings
    clip = Clip.load(work.inputs, load_body(settings.body))
    manifests = {name: json.loads((work.inputs[name] / "manifest.json").read_text()) for name in NEEDS}
    history = json.loads((work.inputs["optimize"] / "history.json").read_text())
    with full_disk_told(work.output):
        _copy_results(work)
        _write_ply(work.output / "avatar.ply", clip.avatar, settings.ply_up)
        title = str(manifests["frames"]["summary"].get("video") or "Avatar")
        write_viewer(work.output / "viewer.html", clip, title, settings.viewer_height)
        turntable = Turntable(clip.avatar, settings.video_height)
        _write_videos(work, clip, turntable)
        facts = gather(clip, work.inputs, history)
        figures = metrics(facts, manifests, clip.refined.frame)
        write_json(work.output / "metrics.json", figures)
        sides = list(turntable.turn(4))
        coverage = drawing.beside(list(Turntable(by_coverage(clip.avatar), settings.video_height).turn(4)))
        write_image(work.output / "coverage.png", coverage)
        findings = report.Findings(clip, facts, manifests, history, settings)
        write_page(work.output / "report.html", report.build(findings, sides, coverage, work.output))
    return {
        "held_out": figures["held_out"],
        "avatar_iou": figures["silhouette_iou"]["avatar"],
        "files": REPORT | FILES,
    }


def _write_ply(path: Path, avatar: Avatar, up: Up) -> None:
    write_ply(path, resting(avatar, up), [axes(None, up)])


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
