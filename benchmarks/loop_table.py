"""loop.md: the finished runs as tables."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.variants import INPUTS, MAIN

Row = Mapping[str, Any]
Values = dict[str, float | None]

# Column, name, digits
ERRORS = (
    ("mpjpe", "MPJPE", 1),
    ("pa_mpjpe", "PA", 1),
    ("pve", "PVE", 1),
    ("camera_mpjpe", "camera", 1),
    ("camera_mpjpe_scaled", "scaled", 1),
    ("root_error", "root", 1),
    ("acceleration_error", "accel", 1),
)
PICTURES = (
    ("interpolated", "held-out", 2),
    ("fitted", "fitted", 2),
    ("ssim", "SSIM", 3),
    ("iou", "IoU", 3),
    ("gain", "gain", 2),
    ("novel_view", "view", 2),
    ("view_gap", "gap", 2),
    ("novel_pose", "pose", 2),
    ("pose_gap", "gap", 2),
)
COSTS = (("cpu", "CPU s", 0), ("seconds", "s", 0), ("megabytes", "MB", 0))
COLUMNS = ERRORS + PICTURES + COSTS
CHANGES = tuple(c for c in ERRORS if c[0] not in ("pve", "root_error")) + tuple(
    c for c in PICTURES if c[0] in ("interpolated", "novel_view", "novel_pose")
)

# Means over the sequences from init.npz: must by inputs, aim. PSNR gain: at least; all others: at most.
TARGETS = {
    "mpjpe": ("MPJPE, mm", (42, 36, 29), 20),
    "pa_mpjpe": ("PA-MPJPE, mm", (29, 25, 22), 15),
    "camera_mpjpe_scaled": ("camera space, one scale removed, mm", (45, 39, 33), 24),
    "acceleration_error": ("acceleration error, mm/frame^2", (19, 18, 17), 12),
    "gain": ("held-out crop PSNR over fixed poses, dB, at least", (7, 8, 8), None),
    "held_out_gap": ("held-out crop PSNR below true poses, dB", (None, None, None), 1.5),
    "view_gap": ("novel view below true poses, dB", (4, 3, 3), 1.5),
    "pose_gap": ("novel pose below true poses, dB", (4, 3, 3), 1.5),
    "cpu": ("longest run, s of one core", (180, 180, 180), None),
}
VIDEO_TARGETS = {
    "mpjpe": ("MPJPE, mm", (50, None, None), None),
    "pa_mpjpe": ("PA-MPJPE, mm", (45, None, None), None),
    "acceleration_error": ("acceleration error, mm/frame^2", (20, None, None), None),
}
TITLES = {
    "init": "From init.npz",
    "video": "From nothing but the video",
    "heavy": "From the video, BlazePose's heavy network looking",
}

HEAD = """# The loop, measured

```
python -m benchmarks.loop BENCH
```
BENCH is the folder of benchmark sequences; `--help` has the filters. {machine}.
Preset default unless a heading says otherwise, one setting for all sequences; {count} runs, kept in
loop.jsonl, with {codes}.

Errors in mm (accel: mm per frame^2) over all frames, as docs/formats.md defines them: MPJPE and PVE
pelvis-aligned, PA after Procrustes, "camera" in camera space as it is, "scaled" with one scale a clip
removed. Pictures: PSNR in dB, tight crop over white with the true masks. "held-out": frames that the avatar
never saw, in poses interpolated from their neighbours (SSIM and IoU there, too); "fitted": after a fit to
these very pictures; "gain": "held-out" over the avatar learned with fixed poses. "view", "pose": the avatar
in the truth's poses, seen by other cameras, and in poses that the clip does not have; "gap": how much an
avatar learned with true poses is better. CPU s, s, MB: of the optimisation alone, and its process' peak; s
by the clock, on a machine that others used as well.

- **joint**: the method.
- **decoupled, fixed**: the same schedule for the avatar, poses never move.
- **decoupled, free offsets**: poses move frame by frame with the picture's gradient: no kernel, no phases
  before, no smoothness, priors, anchor, or pull of Gaussians towards the mesh (only to their neighbours). The
  idea of GART and HUGS, on this renderer and body.
- **true poses**: fixed poses, the truth's: the upper bound.

What screens masks and initial poses, and what falls back on initial poses, acts in all variants alike.
"""


def document(rows: Sequence[Row]) -> str:
    """All of loop.md."""
    good = [row for row in rows if "figures" in row]
    values = {_key(row): flat(row) for row in good}
    for row in good:
        _compare(row, values)
    codes = sorted({row["code"] for row in rows})
    text = HEAD.format(
        machine=machine(),
        count=len(rows),
        codes=f"code {codes[0]}" if len(codes) == 1 else f"several versions of the code ({', '.join(codes)})",
    )
    for group, members in groupby(sorted(rows, key=_order), key=_group):
        text += _section(group, list(members), values)
    return text


def brief(figures: Mapping[str, Any]) -> str:
    """One run in a few words."""
    before, after = figures["start"], figures["motion"]
    return f"MPJPE {before['mpjpe']:.1f} -> {after['mpjpe']:.1f}, {figures['cpu']:.0f} s CPU"


def plan(runs: Sequence[Any], done: Mapping[str, Row]) -> str:
    """How many runs there are, and how long those left will take."""
    left = [run for run in runs if run.key not in done]
    seconds = [row["process_cpu"] for row in done.values() if "figures" in row]
    guess = f", about {len(left) * np.mean(seconds) / 3600:.1f} h of CPU time" if seconds else ""
    return f"{len(runs)} runs, {len(runs) - len(left)} done, {len(left)} left{guess}"


# Values


def flat(row: Row) -> Values:
    """A row's figures by the columns' names; gaps and gain are still missing."""
    figures = row["figures"]
    crop = {way: (figures.get(way) or {}).get("psnr_crop") for way in ("initial", "interpolated", "fitted")}
    judged = figures.get("interpolated") or {}
    return {
        **figures["motion"],
        **{f"start_{name}": value for name, value in figures["start"].items()},
        **crop,
        "ssim": judged.get("ssim_crop"),
        "iou": judged.get("iou"),
        **{name: figures[name]["psnr_crop"] for name in ("novel_view", "novel_pose")},
        **{name: figures[name] for name in ("cpu", "seconds", "megabytes", "start_seconds")},
    }


def _compare(row: Row, values: Mapping[str, Values]) -> None:
    """Adds what a run has over fixed poses and lacks to true ones, where those were run."""
    own = values[_key(row)]

    def beside(variant: str) -> Values:
        for inputs in (row["run"]["inputs"], INPUTS[0]):
            other = {"run": {**row["run"], "variant": variant, "inputs": inputs}}
            if found := values.get(_key(other)):
                return found
        return {}

    fixed, true = beside("decoupled, fixed"), beside("true poses")
    own["gain"] = _difference(own["interpolated"], fixed.get("interpolated"))
    own["held_out_gap"] = _difference(true.get("interpolated"), own["interpolated"])
    own["view_gap"] = _difference(true.get("novel_view"), own["novel_view"])
    own["pose_gap"] = _difference(true.get("novel_pose"), own["novel_pose"])


def _difference(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _means(rows: Iterable[Row], values: Mapping[str, Values]) -> Values:
    """The mean of every value over some runs; None where one of them has none."""
    chosen = [values[_key(row)] for row in rows if "figures" in row]
    return {
        name: float(np.mean([v[name] for v in chosen])) if all(v[name] is not None for v in chosen) else None
        for name in (chosen[0] if chosen else ())
    }


# Sections


def _section(group: tuple[Any, ...], rows: list[Row], values: Mapping[str, Values]) -> str:
    start, stress, steps, changes = group
    notes = [stress] if stress else []
    notes += [f"steps x {steps:g}"] if steps != 1 else []
    notes += [changes] if changes else []
    title = TITLES[start] + (f" ({'; '.join(notes)})" if notes else "")
    by_variant = {
        (inputs, variant): [r for r in rows if (r["run"]["inputs"], r["run"]["variant"]) == (inputs, variant)]
        for inputs in INPUTS
        for variant in dict.fromkeys((*MAIN, *(r["run"]["variant"] for r in rows)))
    }
    text = f"\n## {title}\n\n### Means over sequences and seeds\n\n" + _mean_table(by_variant, values)
    if not notes:
        targets = TARGETS if start == "init" else VIDEO_TARGETS
        text += "\n### Targets, joint\n\n" + _target_table(targets, by_variant, values)
    if start != "init" and rows:
        seconds = _means(rows, values).get("start_seconds")
        if seconds is not None:
            text += (
                f"\nBefore the optimisation the stages frames to masks took {seconds:.0f} s on the average.\n"
            )
    text += _worse(by_variant, values)
    if ablated := [key for key in by_variant if key[1].startswith("no ") and by_variant[key]]:
        text += "\n### Without one part: change of the means against joint\n\n"
        text += _codes_of(ablated, by_variant) + _ablation_table(ablated, by_variant, values)
    return text + "\n### Every run\n\n" + _run_table(rows, values)


def _codes_of(keys: list[tuple[str, str]], by_variant: Mapping[tuple[str, str], list[Row]]) -> str:
    """Which version of the code the runs of every kind of inputs are of, where there are several."""
    codes = {
        inputs: ", ".join(
            sorted({row["code"] for key in keys if key[0] == inputs for row in by_variant[key]})
        )
        for inputs in dict.fromkeys(key[0] for key in keys)
    }
    if len(set(codes.values())) < 2:
        return ""
    return "Code: " + "; ".join(f"{inputs} {code}" for inputs, code in codes.items()) + ".\n\n"


def _mean_table(by_variant: Mapping[tuple[str, str], list[Row]], values: Mapping[str, Values]) -> str:
    lines = [_header("inputs", "variant", "runs", *(name for _, name, _ in COLUMNS), "seeds, MPJPE")]
    starts = [row for rows in by_variant.values() for row in rows if row["run"]["variant"] != "true poses"]
    if starts and (means := _means(_one_each(starts), values)):
        cells = [_cell(means.get(f"start_{key}"), digits) for key, _, digits in ERRORS]
        lines.append(_line("", "*start*", "", *cells, *[""] * (len(COLUMNS) - len(ERRORS) + 1)))
    for inputs in INPUTS:
        for variant in MAIN:
            rows = by_variant[inputs, variant]
            if means := _means(rows, values):
                cells = [_cell(means[key], digits) for key, _, digits in COLUMNS]
                lines.append(_line(inputs, variant, _count(rows), *cells, _by_seed(rows, values)))
    return "\n".join(lines) + "\n"


def _one_each(rows: list[Row]) -> list[Row]:
    """One run of every sequence: all start alike, except that a height moves the start from the video."""
    plain = sorted(rows, key=lambda row: INPUTS.index(row["run"]["inputs"]))
    return list({row["run"]["sequence"]: row for row in reversed(plain) if "figures" in row}.values())


def _by_seed(rows: list[Row], values: Mapping[str, Values]) -> str:
    seeds = sorted({row["run"]["seed"] for row in rows})
    means = (_means([r for r in rows if r["run"]["seed"] == seed], values).get("mpjpe") for seed in seeds)
    return ", ".join(_cell(mean, 1) for mean in means)


def _target_table(
    targets: Mapping[str, tuple[str, tuple[float | None, ...], float | None]],
    by_variant: Mapping[tuple[str, str], list[Row]],
    values: Mapping[str, Values],
) -> str:
    lines = [_header("", *(cell for inputs in INPUTS for cell in (f"{inputs}: must", "is", "")), "aim")]
    for key, (name, musts, aim) in targets.items():
        cells = []
        for inputs, must in zip(INPUTS, musts, strict=True):
            rows = by_variant[inputs, "joint"]
            if key == "cpu":
                found = max((values[_key(r)]["cpu"] or 0 for r in rows if "figures" in r), default=None)
            else:
                found = _means(rows, values).get(key)
            cells += [_cell(must, 0), _cell(found, 1), verdict(found, must, aim, key == "gain")]
        lines.append(_line(name, *cells, _cell(aim, 1)))
    return "\n".join(lines) + "\n"


def verdict(found: float | None, must: float | None, aim: float | None, at_least: bool) -> str:
    """Whether a mean meets what it must, and the aim."""
    if found is None:
        return ""

    def met(limit: float) -> bool:
        return found >= limit if at_least else found <= limit

    if aim is not None and met(aim):
        return "aim met"
    return "" if must is None else "met" if met(must) else "**missed**"


def _worse(by_variant: Mapping[tuple[str, str], list[Row]], values: Mapping[str, Values]) -> str:
    """The joint runs that end worse than they began."""
    found = []
    for inputs in INPUTS:
        for row in by_variant[inputs, "joint"]:
            if "figures" not in row:
                continue
            own = values[_key(row)]
            for key, name in (("mpjpe", "MPJPE"), ("pa_mpjpe", "PA")):
                before, after = own[f"start_{key}"], own[key]
                if before is not None and after is not None and after > before:
                    run = row["run"]
                    found.append(
                        f"{run['sequence']}, {inputs}, seed {run['seed']}: {name} {before:.1f} -> {after:.1f}"
                    )
    if not any(by_variant[inputs, "joint"] for inputs in INPUTS):
        return ""
    return "\nWorse than its start in MPJPE or PA: " + ("; ".join(found) if found else "no joint run") + ".\n"


def _ablation_table(
    keys: Iterable[tuple[str, str]],
    by_variant: Mapping[tuple[str, str], list[Row]],
    values: Mapping[str, Values],
) -> str:
    """Against the joint runs of the same sequences and seeds."""
    lines = [_header("inputs", "variant", "runs", *(name for _, name, _ in CHANGES))]
    for inputs, variant in keys:
        pairs = []
        for row in by_variant[inputs, variant]:
            joint = values.get(_key({"run": {**row["run"], "variant": "joint"}}))
            if joint and "figures" in row:
                pairs.append((values[_key(row)], joint))
        cells = []
        for key, _, digits in CHANGES:
            changes = [_difference(own[key], joint[key]) for own, joint in pairs]
            known = [change for change in changes if change is not None]
            cells.append(f"{np.mean(known):+.{digits}f}" if known else "")
        lines.append(_line(inputs, variant, _count(by_variant[inputs, variant]), *cells))
    return "\n".join(lines) + "\n"


def _run_table(rows: Iterable[Row], values: Mapping[str, Values]) -> str:
    lines = [_header("inputs", "variant", "sequence", "seed", *(name for _, name, _ in COLUMNS))]
    for row in rows:
        run = row["run"]
        head = (run["inputs"], run["variant"], run["sequence"], str(run["seed"]))
        if "error" in row:
            lines.append(_line(*head, row["error"], *[""] * (len(COLUMNS) - 1)))
        else:
            own = values[_key(row)]
            lines.append(_line(*head, *(_cell(own[key], digits) for key, _, digits in COLUMNS)))
    return "\n".join(lines) + "\n"


# Pieces


def _key(row: Row) -> str:
    return json.dumps(row["run"], sort_keys=True)


def _group(row: Row) -> tuple[Any, ...]:
    run = row["run"]
    stress = " ".join(name for name in ("fast", "dark") if run[name])
    return run["start"], stress, run["steps"], run["changes"]


def _order(row: Row) -> tuple[Any, ...]:
    run = row["run"]
    main = MAIN.index(run["variant"]) if run["variant"] in MAIN else len(MAIN)
    inputs = INPUTS.index(run["inputs"])
    start = list(TITLES).index(run["start"])
    return start, *_group(row), inputs, main, run["variant"], run["seed"], run["sequence"]


def _count(rows: Sequence[Row]) -> str:
    failed = sum("error" in row for row in rows)
    return f"{len(rows)}" + (f", {failed} failed" if failed else "")


def _header(*names: str) -> str:
    return _line(*names) + "\n|" + "---|" * len(names)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def machine() -> str:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")
    return (
        f"{cpu}, {os.cpu_count()} cores, no GPU; Python {platform.python_version()}, torch {version('torch')}"
    )
