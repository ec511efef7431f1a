"""The report's content: figures, advice, charts and pictures put into words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.export import footage
from stages.export.assessment import Facts, advice
from stages.export.charts import Chart, Line
from stages.export.clip import Clip, evenly
from stages.export.page import Comparison, OutputFile, Page, Picture, StageRow, Tile

Manifests = Mapping[str, Mapping[str, Any]]

UNKNOWN = "–"
_FRAMES = 4
_SIDES = ("Front", "Left side", "Back", "Right side")
_MOST_LINES = 8  # that the page's style has colours for


def build(
    clip: Clip,
    facts: Facts,
    manifests: Manifests,
    history: Mapping[str, Any],
    sides: Sequence[footage.Image],
    coverage: footage.Image,
    files: Mapping[str, str],
    folder: Path,
) -> Page:
    """The page of one clip.

    Args:
        manifests: of the earlier stages, by name.
        history: the content of the optimisation's history.json.
        sides: pictures of the avatar, a quarter turn apart, the front first.
        coverage: the same sides in one picture, coloured by how often each part was seen.
        files: those beside the page and what they are for; they lie in `folder`.
    """
    source = manifests["frames"]["summary"].get("video")
    shape, seconds = f"{clip.frames.width} × {clip.frames.height}", np.ptp(clip.frames.times)
    return Page(
        title=str(source or "Avatar"),
        subtitle=f"{len(clip.frames)} frames over {seconds:.1f} s, {shape}",
        tiles=_tiles(facts, manifests),
        advice=advice(facts, clip.frames.focal_source, manifests, history),
        views=[Picture(name, image) for name, image in zip(_SIDES, sides, strict=True)],
        coverage=Picture("Front, left side, back, right side", coverage),
        first_frame=_first_frame(clip),
        frames=_overlays(clip),
        comparisons=_comparisons(facts),
        charts=_charts(history["losses"]),
        stages=[_row(name, manifest) for name, manifest in manifests.items()],
        files=[OutputFile(name, what, size((folder / name).stat().st_size)) for name, what in files.items()],
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
            return f"{count / length:.3g} {unit}"
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


def _overlays(clip: Clip) -> list[Picture]:
    window = footage.subject_window(clip, clip.frames.height)
    chosen = evenly(clip.seen, _FRAMES)
    return [Picture(f"Frame {index}", footage.outlined(clip, index, window)) for index in chosen]


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
    before, after = (UNKNOWN if value is None else style.format(value) for value in values)
    return Comparison(name, before, after, meaning)


def _charts(losses: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """The optimisation's losses over all its steps; phases follow one another on the axis."""
    starts: list[tuple[float, str]] = []
    curves: dict[str, tuple[list[float], list[float]]] = {}
    begin = last = 0.0
    for record in losses:
        if not starts or record["phase"] != starts[-1][1]:
            begin = last
            starts.append((begin, str(record["phase"])))
        last = begin + record["step"]
        for name, value in record.items():
            if name not in ("phase", "step"):
                x, y = curves.setdefault(name, ([], []))
                x.append(last)
                y.append(value)
    lines = [Line(name, x, y) for name, (x, y) in curves.items()]
    terms = [line for line in lines if line.name != "total"][:_MOST_LINES]
    total = [line for line in lines if line.name == "total"]
    charts = [Chart("Total loss", "step", total, starts), Chart("Its terms, weighted", "step", terms, starts)]
    return [chart for chart in charts if chart.lines]


def _row(name: str, manifest: Mapping[str, Any]) -> StageRow:
    hidden = ("warnings", "files", "held_out")  # shown elsewhere
    summary = {key: value for key, value in manifest["summary"].items() if key not in hidden}
    return StageRow(
        title=name,
        engine=str(manifest["engine"]),
        seconds=duration(manifest["seconds"]),
        memory=size(manifest["peak_memory"]),
        facts=_plain(summary),
        settings=_plain(manifest["settings"]),
    )


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
