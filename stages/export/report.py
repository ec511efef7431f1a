"""The report's content: figures, advice, charts and pictures put into words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages.base import Settings
from stages.export import FILES, advice, footage
from stages.export.assessment import Facts
from stages.export.changes import JointChange, path_from_above
from stages.export.charts import Chart, Line, Plan, runs
from stages.export.clip import Clip, evenly
from stages.export.formats import FORMATS
from stages.export.losses import loss_curves
from stages.export.page import (
    Comparison,
    JointRow,
    Moment,
    OutputFile,
    Page,
    Picture,
    Slider,
    StageRow,
    Summary,
    Tile,
)
from stages.export.perframe import medians
from stages.export.reproduction import command
from stages.facts import versions

Manifests = Mapping[str, Mapping[str, Any]]

UNKNOWN = "–"
_FRAMES = 5
_SLIDER_HEIGHT = 480
_SIDES = {"the front": "Front", "the left": "Left side", "the back": "Back", "the right": "Right side"}
_WHEN = ("before", "after")
_DIGEST_SHOWN = 12
_MOST_LINES = 8  # that the page's style has colours for
_OPENED_WITH = {
    ".mp4": "any video player",
    ".png": "any image viewer",
    ".html": "any browser",
    ".json": "any text editor",
    ".ply": "viewers of Gaussian splats, SuperSplat for one",
    ".npz": "Python with numpy, and this program",
}


@dataclass(frozen=True, eq=False)
class Findings:
    """All that the report is made of.

    Attributes:
        manifests: of the earlier stages, by name.
        history: the content of the optimisation's history.json.
        settings: of the stage export.
    """

    clip: Clip
    facts: Facts
    manifests: Manifests
    history: Mapping[str, Any]
    settings: Settings


def build(findings: Findings, sides: Sequence[footage.Image], coverage: footage.Image, folder: Path) -> Page:
    """The page of one clip.

    Args:
        sides: pictures of the avatar, a quarter turn apart, the front first, then the left.
        coverage: the same sides in one picture, coloured by how often each part was seen.
        folder: of the files beside the page.
    """
    clip, facts, manifests = findings.clip, findings.facts, findings.manifests
    shape, seconds = f"{clip.frames.width} × {clip.frames.height}", float(np.ptp(clip.frames.times))
    video = manifests["frames"]["summary"].get("video")
    return Page(
        title=str(video or "Avatar"),
        subtitle=f"{len(clip.frames)} frames over {seconds:.1f} s, {shape}",
        summary=Summary(
            made=advice.made(facts, findings.history, seconds),
            quality=advice.quality(facts),
            filming=advice.filming(facts),
        ),
        tiles=_tiles(facts, manifests),
        advice=advice.advice(facts, clip.frames.focal_source, manifests, findings.history),
        views=[Picture(name, image) for name, image in zip(_SIDES.values(), sides, strict=True)],
        coverage=Picture(
            "The avatar's front, left side, back and right side by how often they were seen", coverage
        ),
        sides_seen=[(name, facts.sides_seen[side], facts.frames_seen) for side, name in _SIDES.items()],
        first_frame=_first_frame(clip),
        moments=_moments(clip),
        comparisons=_comparisons(facts),
        charts=[*_frame_charts(facts), *_plan(clip)],
        joints=_joints(facts.joints),
        training=_training(findings.history["losses"]),
        stages=_stages(manifests),
        command=_command(str(video or "VIDEO"), findings),
        versions=[*versions(), *_weights(manifests)],
        files=[_file(folder / name, meaning) for name, meaning in FILES.items()],
        more_formats=[(name, one.about) for name, one in FORMATS.items()],
    )


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """Bytes in the unit that reads best."""
    for unit, length in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= length:
            value = count / length
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{count} bytes"


def _tiles(facts: Facts, manifests: Manifests) -> list[Tile]:
    tiles = []
    fitted, initial = (facts.held_out.get(name) for name in ("fitted poses", "initial poses"))
    if fitted:
        note = f"{initial['psnr']:.1f} dB with the initial poses" if initial else ""
        tiles.append(Tile("PSNR on held-out frames", f"{fitted['psnr']:.1f} dB", note))
    if facts.avatar_iou is not None:
        tiles.append(Tile("Outline's overlap", f"{facts.avatar_iou:.2f}", "1 is perfect"))
    tiles.append(Tile("Person seen", f"{facts.frames_seen} of {facts.frames}", "frames"))
    total = sum(float(manifest["seconds"]) for manifest in manifests.values())
    tiles.append(Tile("Computing time", duration(total), "before this export"))
    return tiles


def _first_frame(clip: Clip) -> Picture | None:
    if not len(clip.seen):
        return None
    index = int(clip.seen[0])
    return Picture(f"Frame {index}: the body as first estimated", footage.initially_outlined(clip, index))


def _moments(clip: Clip) -> list[Moment]:
    window = footage.subject_window(clip, _SLIDER_HEIGHT)
    return [
        Moment(
            name=f"Frame {index}",
            sliders=[
                _slider(index, "Body's outline", footage.outlines(clip, index, window)),
                _slider(index, "Avatar", footage.avatars(clip, index, window)),
            ],
        )
        for index in evenly(clip.seen, _FRAMES)
    ]


def _slider(index: int, name: str, pictures: tuple[footage.Image, footage.Image]) -> Slider:
    before, after = (
        Picture(f"{name} over frame {index}, {when}", image)
        for when, image in zip(("as first estimated", "as refined"), pictures, strict=True)
    )
    return Slider(f"{name}, frame {index}", before, after)


def _comparisons(facts: Facts) -> list[Comparison]:
    rows = [
        _compared(
            "Body's overlap with the masks",
            facts.body_iou,
            "{:.3f}",
            "Intersection over union; clothes and hair keep it below 1. Higher is better.",
        ),
        _compared(
            "Distance to 2D landmarks",
            facts.landmark_error,
            "{:.1f} px",
            "Median over shoulders, elbows, wrists, knees and ankles. The landmarks are estimates as well: "
            "a check, not the truth.",
        ),
        _compared(
            "Acceleration of the joints",
            facts.acceleration,
            "{:.1f} mm/frame²",
            "Mean. Jitter raises it, and so does real fast motion.",
        ),
    ]
    return _held_out(facts.held_out) + [row for row in rows if row]


def _held_out(held_out: Mapping[str, Mapping[str, float]]) -> list[Comparison]:
    before, after = held_out.get("initial poses"), held_out.get("fitted poses")
    between = held_out.get("interpolated poses")
    if not after:
        return []
    rows = []
    for key, name, style in (
        ("psnr", "PSNR", "{:.2f} dB"),
        ("ssim", "SSIM", "{:.3f}"),
        ("iou", "IoU", "{:.3f}"),
    ):
        meaning = "Frames the avatar never saw, tight crop over white, their poses fitted afterwards"
        if between:
            meaning += f"; with poses interpolated from the neighbours {style.format(between[key])}"
        earlier = style.format(before[key]) if before else UNKNOWN
        rows.append(Comparison(f"{name}, held-out frames", earlier, style.format(after[key]), meaning + "."))
    return rows


def _compared(
    name: str, values: tuple[float | None, float | None], style: str, meaning: str
) -> Comparison | None:
    if all(value is None for value in values):
        return None
    return Comparison(name, *_both(values, style), meaning)


def _both(values: tuple[float | None, float | None], style: str) -> tuple[str, str]:
    before, after = (UNKNOWN if value is None else style.format(value) for value in values)
    return before, after


def _frame_charts(facts: Facts) -> list[Chart]:
    """What is known of single frames, over the clip."""
    figures, frames = facts.per_frame, np.arange(facts.frames)
    distances = [medians(values) for values in figures.landmark_distance]
    bodies = zip(_WHEN, figures.body_iou, strict=True)

    def chart(title: str, summary: str, lines: Sequence[Line], holds: Sequence[float] = ()) -> Chart:
        return Chart(
            title,
            "frame",
            lines,
            spans=runs(figures.interpolated),
            span_name="motion interpolated",
            logarithmic=False,
            holds=holds,
            summary=summary,
        )

    charts = [
        chart(
            "Distance to 2D landmarks, pixels",
            _told("median", _both(facts.landmark_error, "{:.1f}")),
            [Line(when, frames, values, when) for when, values in zip(_WHEN, distances, strict=True)],
            holds=[0],
        ),
        chart(
            "Overlap with the masks (IoU)",
            _told("mean of the body", _both(facts.body_iou, "{:.2f}")),
            [
                *(Line(f"body {when}", frames, values, when) for when, values in bodies),
                Line("avatar", frames, figures.avatar_iou, "c2"),
            ],
        ),
        chart(
            "The detector's confidence",
            "1 is certain",
            [Line("visibility of the limbs", frames, figures.confidence, "c3")],
            holds=[0, 1],
        ),
    ]
    return [chart for chart in charts if any(np.isfinite(np.asarray(line.y)).any() for line in chart.lines)]


def _told(what: str, values: tuple[str, str]) -> str:
    return f"{what} {values[0]} before and {values[1]} after"


def _plan(clip: Clip) -> list[Plan]:
    """The pelvis' way, where anybody was seen."""
    if not len(clip.seen):
        return []
    path = path_from_above(clip)
    start, end = path.after[clip.seen[0]], path.after[clip.seen[-1]]
    places = (f"{x:.2f} m to the right and {away:.2f} m away" for x, away in (start, end))
    return [
        Plan(
            "The pelvis from above",
            "metres to the camera's right",
            "metres from the camera",
            [
                Line(when, way[:, 0], way[:, 1], when)
                for when, way in zip(_WHEN, (path.before, path.after), strict=True)
            ],
            "refined, from {} to {}".format(*places),
        )
    ]


def _joints(joints: Sequence[JointChange]) -> list[JointRow]:
    """Those that turned most first."""
    most = max((joint.mean for joint in joints), default=0) or 1
    return [
        JointRow(
            name=joint.name.replace("_", " "),
            mean=f"{joint.mean:.1f}°",
            share=joint.mean / most,
            largest=f"{joint.largest:.0f}°, frame {joint.largest_frame}",
            moved=UNKNOWN if joint.moved is None else f"{joint.moved:.0f} mm",
        )
        for joint in sorted(joints, key=lambda joint: -joint.mean)
    ]


def _training(losses: Sequence[Mapping[str, Any]]) -> list[Chart]:
    starts, curves = loss_curves(losses)
    lines = [Line(name, x, y) for name, (x, y) in curves.items()]
    terms = [line for line in lines if line.name != "total"][:_MOST_LINES]
    total = [line for line in lines if line.name == "total"]
    charts = [Chart("Total loss", "step", total, starts), Chart("Its terms, weighted", "step", terms, starts)]
    return [chart for chart in charts if chart.lines]


def _stages(manifests: Manifests) -> list[StageRow]:
    longest = max(float(manifest["seconds"]) for manifest in manifests.values()) or 1
    largest = max(int(manifest["peak_memory"]) for manifest in manifests.values()) or 1
    hidden = ("warnings", "files", "held_out")  # shown elsewhere
    rows = []
    for name, manifest in manifests.items():
        summary = {key: value for key, value in manifest["summary"].items() if key not in hidden}
        rows.append(
            StageRow(
                title=name,
                engine=str(manifest["engine"]),
                seconds=duration(manifest["seconds"]),
                time_share=manifest["seconds"] / longest,
                memory=_memory(manifest),
                memory_share=manifest["peak_memory"] / largest,
                facts=_plain(summary),
                settings=_plain(manifest["settings"]),
            )
        )
    return rows


def _weights(manifests: Manifests) -> list[tuple[str, str]]:
    """The networks that were used, by the beginning of their weights' SHA-256."""
    return [
        (f"weights {key}", digest[:_DIGEST_SHOWN])
        for manifest in manifests.values()
        for key, digest in manifest.get("weights", {}).items()
    ]


def _memory(manifest: Mapping[str, Any]) -> str:
    gpu = manifest.get("peak_gpu_memory")
    return size(manifest["peak_memory"]) + (f", GPU {size(gpu)}" if gpu else "")


def _command(video: str, findings: Findings) -> str:
    own = {name: value for name, value in findings.settings if not isinstance(value, Path)}
    settings = {name: manifest["settings"] for name, manifest in findings.manifests.items()} | {"export": own}
    files = {f"export.{name}": value.name for name, value in findings.settings if isinstance(value, Path)}
    for manifest in findings.manifests.values():
        files |= manifest.get("names", {})
    files.pop("frames.video", None)
    return command(video, settings, files)


def _file(path: Path, meaning: str) -> OutputFile:
    opened_with = _OPENED_WITH.get(path.suffix, "")
    return OutputFile(path.name, meaning, size(path.stat().st_size), opened_with)


def _plain(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and values as text, nested ones with dots. Of a path only its last part is anybody's business."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _plain(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, _words(value)))
    return rows


def _words(value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ("; " if any(isinstance(one, Mapping) for one in value) else ", ").join(map(_words, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items())
    return str(value).replace("\\", "/").rsplit("/", 1)[-1]
