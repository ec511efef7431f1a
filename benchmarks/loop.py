"""Measures the loop: pose and avatar learned together, against baselines, bounds and itself without a part.

    python -m benchmarks.loop BENCH                          every run that is not done yet, then loop.md
    python -m benchmarks.loop BENCH --variant joint "true poses" --inputs "no depth" --start init --seed 0
    python -m benchmarks.loop BENCH --plan                   only counts the runs, and their time
    python -m benchmarks.loop BENCH --write                  only writes loop.md anew

BENCH is the folder of the benchmark sequences. Finished runs are kept in loop.jsonl, one line each, so that
the table can be made in pieces and by several processes at once. Every run has a process of its own. The
truth is used for nothing but figures (and the true masks, for runs from init.npz).
"""

import argparse
import hashlib
import json
import multiprocessing
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

import pipeline  # noqa: F401 - sets the environment of what is imported below
from benchmarks import loop_table, sequences
from benchmarks.sequences import Stress
from benchmarks.variants import INPUTS, VARIANTS, settings
from models.avatar import OptimiserSettings, Result, optimise
from models.avatar.alignment import body_height
from models.avatar.scoring import View, mean_score, score
from models.body import BodyModel, Motion, load_embedded_body
from models.errors import HsplatError
from stages.evaluate.motions import Comparison
from stages.facts import finite

ROOT = Path(__file__).parent.parent
CODE = ("models", "stages", "configs", "benchmarks")  # what a run's figures depend on
RESULTS = Path(__file__).with_suffix(".jsonl")


@dataclass(frozen=True)
class Run:
    """One optimisation: what identifies it, and so all that its figures depend on besides the code."""

    sequence: str
    start: str
    inputs: str
    variant: str
    seed: int
    fast: bool = False
    dark: bool = False
    steps: float = 1.0
    changes: str = ""  # settings changed by --set, as JSON

    @property
    def key(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def stress(self) -> Stress:
        return Stress(self.fast, self.dark)


# One run


def carry_out(run: Run, bench: Path, workspace: Path | None) -> dict[str, Any]:
    """One run's row: its figures, or why there are none."""
    torch.set_num_threads(1)  # as the stage does
    sequence = sequences.load(
        bench / run.sequence, run.start, run.inputs != "no depth", run.stress, workspace
    )
    variant = VARIANTS[run.variant]
    if variant.true_poses:
        sequence = sequence.with_true_poses()
    changes = json.loads(run.changes or "{}")
    if "height" in run.inputs:
        changes["height"] = sequence.height
    row: dict[str, Any] = {"run": asdict(run), "code": code_hash()}
    try:
        _, figures = measure(sequence, settings(variant, run.seed, run.steps, **changes))
    except HsplatError as error:
        return {**row, "error": error.problem}
    return {**row, "figures": finite(figures), "process_cpu": time.process_time()}


def measure(sequence: sequences.Sequence, chosen: OptimiserSettings) -> tuple[Result, dict[str, Any]]:
    """Optimises one sequence; gives the result and its figures by name."""
    body = load_embedded_body()
    wall, cpu = time.perf_counter(), time.process_time()
    result = optimise(sequence.evidence, body, chosen)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    evidence = sequence.evidence
    initial = (evidence.poses, evidence.trans, evidence.betas)
    refined = tuple(a.numpy() for a in (result.poses, result.trans, result.betas))
    return result, {
        "start": _errors(sequence, body, *initial),
        "motion": _errors(sequence, body, *refined),
        **_pictures(sequence, body, result),
        "cpu": cpu,
        "seconds": wall,
        "start_seconds": sequence.start_seconds,
        "megabytes": _peak_megabytes(),
        "warnings": result.history["warnings"],
    }


def _errors(
    sequence: sequences.Sequence, body: BodyModel, poses: np.ndarray, trans: np.ndarray, betas: np.ndarray
) -> dict[str, float]:
    evidence = sequence.evidence
    height, width = evidence.images[0].shape[:2]
    motion = Motion(
        poses=poses,
        trans=trans,
        betas=betas,
        K=evidence.K,
        frame=sequence.rows,
        fps=evidence.fps,
        width=width,
        height=height,
        body=body.kind,
        valid=evidence.posed,
    )
    return Comparison(sequence.truth, sequence.rows, body).errors(motion).summary()


def _peak_megabytes() -> float:
    """The most that this process ever occupied."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def _pictures(sequence: sequences.Sequence, body: BodyModel, result: Result) -> dict[str, Any]:
    """Held-out frames in initial, interpolated and fitted poses; novel views and poses in the truth's."""
    evidence, avatar = sequence.evidence, result.avatar
    frames = result.history["frames"]["held_out"]
    found: dict[str, Any] = {
        "novel_view": mean_score(score(avatar, view) for view in sequence.novel_views),
        "novel_pose": mean_score(score(avatar, view) for view in sequence.novel_poses),
    }
    if not frames or result.interpolated is None:
        return found
    own = avatar.rest_joints[0].numpy()
    rest = body.shaped_joints(torch.from_numpy(evidence.betas))[0].numpy()
    growth = body_height(body, avatar.betas) / body_height(body, torch.from_numpy(evidence.betas))
    masks = dict(zip(frames, sequence.true_masks(frames), strict=True))
    ways = {
        "initial": (evidence.poses, growth * (evidence.trans + rest)),
        "interpolated": (result.interpolated[0].numpy(), result.interpolated[1].numpy() + own),
        "fitted": (result.poses.numpy(), result.trans.numpy() + own),
    }
    for way, (poses, pelvises) in ways.items():
        views = (View(evidence.images[t], masks[t], evidence.K, poses[t], pelvises[t]) for t in frames)
        found[way] = mean_score(score(avatar, view) for view in views)
    return found


# Many runs


def code_hash() -> str:
    """Names the code and the settings that runs are made with."""
    digest = hashlib.sha256()
    files = (path for name in CODE for path in (ROOT / name).rglob("*") if path.suffix in (".py", ".yaml"))
    for path in sorted(files):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def planned(arguments: argparse.Namespace) -> list[Run]:
    """The runs asked for; the ones that all others are compared with come first."""
    changes = json.dumps(_changes(arguments.set), sort_keys=True) if arguments.set else ""
    return [
        Run(sequence, start, inputs, variant, seed, arguments.fast, arguments.dark, arguments.steps, changes)
        for variant in arguments.variant
        for start in arguments.start
        for seed in arguments.seed
        for inputs in arguments.inputs
        if inputs in VARIANTS[variant].inputs
        for sequence in arguments.sequence or sequences.names(arguments.bench)
    ]


def _changes(assignments: Iterable[str]) -> dict[str, Any]:
    """Settings from KEY=VALUE, with weights.NAME=VALUE and rates.NAME=VALUE."""
    changes: dict[str, Any] = {}
    for assignment in assignments:
        key, _, value = assignment.partition("=")
        section, _, name = key.rpartition(".")
        (changes.setdefault(section, {}) if section else changes)[name] = yaml.safe_load(value)
    return changes


def finished(results: Path, any_code: bool) -> dict[str, dict[str, Any]]:
    """The rows that are there, by run; of this code, or of any, the newest then."""
    if not results.exists():
        return {}
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    code = code_hash()
    return {Run(**row["run"]).key: row for row in rows if any_code or row["code"] == code}


def work_off(runs: Sequence[Run], arguments: argparse.Namespace) -> None:
    """Does every run that is not done, or being done by another process."""
    cache, results = arguments.cache, arguments.results
    for number, run in enumerate(runs, start=1):
        claim = cache / "claims" / hashlib.sha256(run.key.encode()).hexdigest()[:16]
        with sequences.claimed(claim) as free:
            if not free or run.key in finished(results, arguments.any_code):
                continue
            row = _in_a_process(run, arguments.bench, cache)
            with sequences.held(cache / "results.lock"), results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, allow_nan=False) + "\n")
        said = row.get("error") or loop_table.brief(row["figures"])
        print(
            f"{number}/{len(runs)} {run.sequence} {run.start} {run.inputs} {run.variant} {run.seed}: {said}",
            flush=True,
        )


def _in_a_process(run: Run, bench: Path, cache: Path) -> dict[str, Any]:
    workspace = None
    if run.start != "init":
        folder = bench / run.sequence
        height = sequences.person_height(folder) if "height" in run.inputs else None
        workspace = sequences.prepare(folder, run.start, run.stress, height, cache)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(carry_out, run, bench, workspace).result()


def parsed(call: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", type=Path)
    parser.add_argument("--sequence", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument("--start", nargs="+", choices=loop_table.TITLES, default=("init", "video"))
    parser.add_argument("--inputs", nargs="+", choices=INPUTS, default=INPUTS)
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=tuple(VARIANTS), metavar="NAME")
    parser.add_argument("--seed", nargs="+", type=int, default=(0, 1))
    parser.add_argument("--steps", type=float, default=1.0, help="factor on the steps of every phase")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings, for all variants"
    )
    parser.add_argument("--fast", action="store_true", help="every second frame, as if consecutive")
    parser.add_argument("--dark", action="store_true", help="the person's pixels at a third")
    parser.add_argument(
        "--any-code", action="store_true", help="runs of other versions of the code count, too"
    )
    parser.add_argument("--plan", action="store_true", help="only count the runs")
    parser.add_argument("--write", action="store_true", help="only write the table")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="default: loop.jsonl; loop.md lies beside"
    )
    parser.add_argument(
        "--cache", type=Path, default=RESULTS.with_name(".loop"), help="claims and workspaces"
    )
    return parser.parse_args(call)


def main(call: Sequence[str] | None = None) -> None:
    arguments = parsed(call)
    runs = planned(arguments)
    done = finished(arguments.results, arguments.any_code)
    if arguments.plan:
        print(loop_table.plan(runs, done))
        return
    if not arguments.write:
        work_off(runs, arguments)
        done = finished(arguments.results, arguments.any_code)
    arguments.results.with_suffix(".md").write_text(loop_table.document(list(done.values())), "utf-8")


if __name__ == "__main__":
    main()
