"""The command `evaluate`: a finished workspace against the truth, as JSON and as tables."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from models.errors import InputError
from pipeline.finished import finished, recorded_body
from pipeline.publishing import refuse_runs_own
from pipeline.workspace import Workspace

FILE = "evaluate.json"
NAMES = {
    "mpjpe": "MPJPE, mm",
    "pa_mpjpe": "PA-MPJPE, mm",
    "pve": "PVE, mm",
    "camera_mpjpe": "camera-space MPJPE, mm",
    "camera_mpjpe_scaled": "the same, one scale removed, mm",
    "root_error": "root error, mm",
    "acceleration_error": "acceleration error, mm/frame^2",
}
FIGURES = {
    "psnr": ("PSNR, dB", 2),
    "ssim": ("SSIM", 3),
    "lpips": ("LPIPS", 3),
    "psnr_crop": ("crop PSNR", 2),
    "ssim_crop": ("crop SSIM", 3),
    "lpips_crop": ("crop LPIPS", 3),
    "iou": ("IoU", 3),
}
POSES = ("initial poses", "interpolated poses", "fitted poses")
_WORST = 5


def evaluate_workspace(
    workspace: Workspace, truth: Path, output: Path | None = None, **options: Path | None
) -> dict[str, Any]:
    """Scores a finished workspace and writes the figures.

    Args:
        truth: of gt.npz.
        output: the JSON file; `evaluate.json` in the workspace by default.
        options: `novel`, `novel_pose` and `body`, as `stages.evaluate.evaluate` takes them; the body by
            default that of the workspace's run.

    Raises:
        InputError: the workspace has not finished, the truth is not usable, or the file cannot be written.
    """
    from stages.evaluate import NEEDS, evaluate

    path = output or workspace.folder / FILE
    refuse_runs_own(path)
    folders = finished(workspace, NEEDS)
    body = options.pop("body", None) or recorded_body(workspace)
    facts = {"workspace": str(workspace.folder), **evaluate(folders, truth, body, **options)}
    try:
        path.write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n", "utf-8")
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}.", "Name another with --json."
        ) from error
    return facts


def as_tables(facts: Mapping[str, Any]) -> Group:
    """The figures for a person."""
    frames = facts["frames"]
    head = f"{frames['compared']} of {frames['kept']} frames, matched {frames['matched']}"
    if unseen := frames["not_seen"]:
        head += f"; {len(unseen)} of them without an estimate, interpolated"
    return Group(
        Text(head),
        _motion(facts["motion"]),
        Text(f"PVE: {facts['pve']}"),
        _joints(facts["motion"]),
        _worst(facts),
        *_pictures(facts["pictures"]),
        Text(f"LPIPS: {facts['lpips']}"),
    )


def _motion(motion: Mapping[str, Any]) -> Table:
    table = _table("Motion", "", "before", "after", "change")
    for key, name in NAMES.items():
        before, after = (motion[when]["mean"][key] for when in ("before", "after"))
        table.add_row(name, _number(before, 1), _number(after, 1), _change(before, after))
    scales = [motion[when]["scale"] for when in ("before", "after")]
    table.add_row("scale that fits best", *(_number(scale, 3) for scale in scales), "")
    return table


def _joints(motion: Mapping[str, Any]) -> Table:
    table = _table("By joint, before -> after, mm", "", "MPJPE", "PA-MPJPE", "camera space")
    keys = ("mpjpe", "pa_mpjpe", "camera_mpjpe")
    before, after = (motion[when]["per_joint"] for when in ("before", "after"))
    for joint in before["mpjpe"]:
        cells = (f"{_number(before[k][joint], 0)} -> {_number(after[k][joint], 0)}" for k in keys)
        table.add_row(joint.replace("_", " "), *cells)
    return table


def _worst(facts: Mapping[str, Any]) -> Table:
    """The frames in which the refined motion is worst."""
    table = _table("Worst frames, MPJPE, mm", "frame", "before", "after")
    before, after = (facts["motion"][when]["per_frame"]["mpjpe"] for when in ("before", "after"))
    for place in sorted(range(len(after)), key=lambda i: -after[i])[:_WORST]:
        frame = facts["frames"]["index"][place]
        table.add_row(str(frame), _number(before[place], 1), _number(after[place], 1))
    return table


def _pictures(pictures: Mapping[str, Any]) -> Iterable[Table | Text]:
    held_out, views = pictures["held_out"], ("novel_view", "novel_pose")
    columns = {f"held-out {poses}": held_out[poses] for poses in POSES if poses in held_out}
    columns |= {name.replace("_", " "): pictures[name] for name in views if "psnr" in pictures[name]}
    if columns:
        heads = (name.replace(" ", "\n") for name in columns)
        table = _table("Avatar against pictures, over white", "", *heads)
        for key, (name, digits) in FIGURES.items():
            table.add_row(name, *(_number(figures[key], digits) for figures in columns.values()))
        yield table
    size, count = "x".join(map(str, held_out["size"])), len(held_out["frames"])
    yield Text(f"held-out frames: {count} of {size} pixels, masks of the {held_out['masks']}")
    yield Text("novel view and novel pose: in the truth's poses, pelvis at the truth's")
    for name in ("held_out", *views):
        if note := pictures[name].get("note"):
            yield Text(f"{name.replace('_', ' ')}: {note}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _change(before: float | None, after: float | None) -> str:
    return f"{100 * (after / before - 1):+.0f} %" if before and after is not None else "-"
