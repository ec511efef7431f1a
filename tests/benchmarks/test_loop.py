import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import loop, loop_table, sequences
from benchmarks.loop import Run
from benchmarks.sequences import Stress
from benchmarks.variants import INPUTS, MAIN, VARIANTS, settings
from models.avatar.settings import OptimiserSettings, Weights
from tests.benchmarks.conftest import FRAMES

SMALL = (
    "gaussians=400", "final_gaussians=500", "person_pixels=48", "final_person_pixels=48", "held_out=0.1",
)  # fmt: skip
SHARED = Path(os.environ.get("HSPLAT_SHARED", Path(__file__).parents[3] / "shared")) / "bench"


def call(bench: Path, tmp_path: Path, *options: str) -> list[dict[str, Any]]:
    """The rows after a call of the script on a hundredth of the steps."""
    results = tmp_path / "loop.jsonl"
    common = [
        "--steps",
        "0.01",
        "--results",
        str(results),
        "--cache",
        str(tmp_path / "cache"),
        "--set",
        *SMALL,
    ]
    loop.main([str(bench), *options, *common])
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


ONE = ("--start", "init", "--inputs", "no depth", "--variant", "joint", "--seed", "0")


def test_the_same_seed_gives_the_same_figures(bench: Path, tmp_path: Path) -> None:
    """Once in a process of its own, as the script does it, once in this one."""
    (first,) = call(bench, tmp_path, *ONE)
    second = loop.carry_out(Run(**first["run"]), bench, None)
    costs = ("cpu", "seconds", "megabytes")
    for row in (first, second):
        assert row.pop("process_cpu") > 0
        assert all(row["figures"].pop(name) > 0 for name in costs)
    assert first == second
    assert first["figures"]["start"]["mpjpe"] > 10
    assert first["figures"]["motion"]["mpjpe"] != first["figures"]["start"]["mpjpe"]
    assert first["figures"]["interpolated"]["psnr_crop"] > 5


def test_finished_runs_are_not_done_again(
    bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = []

    def pretended(run: Run, bench: Path, cache: Path) -> dict[str, Any]:
        done.append(run)
        return row(run)

    monkeypatch.setattr(loop, "_in_a_process", pretended)
    call(bench, tmp_path, *ONE)
    rows = call(bench, tmp_path, *ONE, "--seed", "0", "1")
    assert [run.seed for run in done] == [0, 1]
    assert len(rows) == 2
    capsys.readouterr()
    call(bench, tmp_path, *ONE, "--seed", "0", "1", "2", "--plan")
    assert capsys.readouterr().out == "3 runs, 2 done, 1 left, about 0.3 h of CPU time\n"
    monkeypatch.setattr(loop, "code_hash", lambda: "another")
    call(bench, tmp_path, *ONE, "--any-code")
    assert len(done) == 2
    assert len(call(bench, tmp_path, *ONE)) == 3


def test_a_run_that_another_process_does_is_left_to_it(
    bench: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call within the first run sees it claimed."""
    done = []

    def pretended(run: Run, bench: Path, cache: Path) -> dict[str, Any]:
        done.append(run)
        if len(done) == 1:
            call(bench, tmp_path, *ONE)
        return row(run)

    monkeypatch.setattr(loop, "_in_a_process", pretended)
    assert len(call(bench, tmp_path, *ONE)) == len(done) == 1


def test_an_optimisation_that_fails_is_a_row_without_figures(bench: Path, tmp_path: Path) -> None:
    run = Run("seq00_wave", "init", "no depth", "joint", 0, steps=0.01)
    path = bench / "seq00_wave" / "masks.npz"
    with np.load(path) as data:
        masks = data["masks"]
    try:
        np.savez(path, masks=np.zeros_like(masks))
        found = loop.carry_out(run, bench, None)
    finally:
        np.savez(path, masks=masks)
    assert "usable mask" in found["error"] and "figures" not in found
    assert "1 failed" in loop_table.document([found]) or found["error"] in loop_table.document([found])


def test_fixed_poses_do_not_move_and_true_ones_have_no_error(bench: Path) -> None:
    small = loop._changes(SMALL)
    sequence = sequences.load(bench / "seq00_wave")
    for name, start in (("decoupled, fixed", sequence), ("true poses", sequence.with_true_poses())):
        _, figures = loop.measure(start, settings(VARIANTS[name], 0, 0.01, **small))
        assert figures["motion"] == pytest.approx(figures["start"], abs=2e-3)
        if name == "true poses":
            assert figures["motion"]["camera_mpjpe"] == pytest.approx(0, abs=2e-3)
            assert figures["motion"]["pve"] == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize("inputs", INPUTS)
def test_a_run_sees_its_inputs_and_no_others(
    bench: Path, monkeypatch: pytest.MonkeyPatch, inputs: str
) -> None:
    seen = []

    def watched(sequence: sequences.Sequence, chosen: OptimiserSettings) -> tuple[None, dict[str, Any]]:
        seen.append((sequence.evidence.disparity is not None, chosen.height is not None))
        return None, {}

    monkeypatch.setattr(loop, "measure", watched)
    loop.carry_out(Run("seq00_wave", "init", inputs, "joint", 0), bench, None)
    assert seen == [(inputs != "no depth", inputs == "depth + height")]


def test_stress(bench: Path) -> None:
    folder = bench / "seq00_wave"
    plain, hard = (
        sequences.load(folder, depth=True),
        sequences.load(folder, depth=True, stress=Stress(True, True)),
    )
    assert (len(plain.evidence), len(hard.evidence)) == (FRAMES, FRAMES // 2)
    assert hard.evidence.fps == plain.evidence.fps
    assert hard.rows.tolist() == [0, 2, 4, 6, 8, 10]
    np.testing.assert_array_equal(hard.evidence.poses, plain.evidence.poses[::2])
    np.testing.assert_array_equal(hard.evidence.disparity, plain.evidence.disparity[::2])
    inside = plain.evidence.masks[2] == 255
    bright, dark = (s.evidence.images[t][inside].mean() for s, t in ((plain, 2), (hard, 1)))
    assert dark == pytest.approx(bright / 3, rel=0.02)
    outside = plain.evidence.masks[2] == 0
    np.testing.assert_array_equal(plain.evidence.images[2][outside], hard.evidence.images[1][outside])
    view = hard.novel_views[0]
    assert view.image[view.mask == 255].mean() < 0.4 * plain.novel_views[0].image[view.mask == 255].mean()


def test_every_weight_that_is_on_has_its_ablation() -> None:
    same_as_depth = {"depth_relative"}  # all maps of the benchmark are relative
    on = {f"no {name}" for name, value in Weights() if value > 0 and name not in same_as_depth}
    others = {
        "kernel",
        "wide kernel",
        "turns of the whole clip",
        "warm-up",
        "alignment phase",
        "early stopping",
        "exchange of sides",
        "bridging of held-out frames",
    }
    others |= {"silhouettes phase"}
    assert on | {f"no {name}" for name in others} | set(MAIN) == set(VARIANTS)
    for name, variant in VARIANTS.items():
        changed = settings(variant, 0, 1.0)
        assert (changed == OptimiserSettings()) == (name in ("joint",))
    assert settings(VARIANTS["no l1"], 0, 1.0).weights == Weights(l1=0)
    assert VARIANTS["no depth"].inputs == INPUTS[1:]


def test_settings_scale_steps_and_take_changes() -> None:
    chosen = settings(VARIANTS["no dssim"], 3, 0.5, weights={"l1": 2.0}, height=1.7)
    default = OptimiserSettings()
    assert (chosen.seed, chosen.weights.dssim, chosen.weights.l1, chosen.height) == (3, 0, 2, 1.7)
    assert chosen.joint_steps == default.joint_steps // 2
    assert chosen.weights.silhouette == default.weights.silhouette
    assert loop._changes(["weights.l1=2", "seed=3"]) == {"weights": {"l1": 2}, "seed": 3}


def row(run: Run, mpjpe: float = 40.0, psnr: float = 20.0, error: str | None = None) -> dict[str, Any]:
    """A finished run's row with figures of one's choice."""
    found: dict[str, Any] = {"run": asdict(run), "code": loop.code_hash()}
    if error:
        return {**found, "error": error}
    errors = {name: mpjpe for name, *_ in loop_table.ERRORS}
    picture = {"psnr_crop": psnr, "ssim_crop": 0.5, "iou": 0.9}
    return {
        **found,
        "process_cpu": 1080.0,
        "figures": {
            "start": {**errors, "mpjpe": 85.0, "pa_mpjpe": 52.0},
            "motion": errors,
            **{way: picture for way in ("initial", "interpolated", "fitted", "novel_view", "novel_pose")},
            "cpu": 20.0,
            "seconds": 30.0,
            "start_seconds": 0.0,
            "megabytes": 900.0,
        },
    }


def test_means_gaps_and_targets() -> None:
    rows = []
    for sequence, mpjpe in (("a", 30.0), ("b", 46.0)):
        rows += [
            row(Run(sequence, "init", "no depth", "joint", 0), mpjpe, 20),
            row(Run(sequence, "init", "no depth", "joint", 1), mpjpe + 2, 20),
            row(Run(sequence, "init", "depth", "joint", 0), 90, 25),
            *(row(Run(sequence, "init", "no depth", "decoupled, fixed", s), 85, 12) for s in (0, 1)),
            *(row(Run(sequence, "init", "no depth", "true poses", s), 0, 23) for s in (0, 1)),
            row(Run(sequence, "init", "no depth", "no kernel", 0), mpjpe + 5, 19),
        ]
    text = loop_table.document(rows)
    means = text[: text.index("### Targets")]
    lines = {tuple(cell.strip() for cell in line.split("|")[1:4]): line for line in means.splitlines()}
    joint = [cell.strip() for cell in lines["no depth", "joint", "4"].split("|")]
    names = [cell.strip() for cell in lines["inputs", "variant", "runs"].split("|")]
    assert joint[names.index("MPJPE")] == "39.0"
    assert joint[names.index("gain")] == "8.00"
    assert [cell for name, cell in zip(names, joint, strict=True) if name == "gap"] == ["3.00", "3.00"]
    assert joint[-2] == "38.0, 40.0"
    target = next(line for line in text.splitlines() if line.startswith("| MPJPE, mm"))
    cells = [cell.strip() for cell in target.split("|")]
    assert cells[2:8] == ["42", "39.0", "met", "36", "90.0", "**missed**"]
    assert "Worse than its start in MPJPE or PA: a, depth, seed 0: MPJPE 85.0 -> 90.0" in text
    ablation = next(line for line in text.splitlines() if "no kernel | 2 |" in line)
    assert [cell.strip() for cell in ablation.split("|")][4:5] == ["+5.0"]
    assert "-1.00" in ablation


def test_a_missing_reference_leaves_gaps_empty() -> None:
    rows = [
        row(Run("a", "heavy", "no depth", "joint", 0)),
        row(Run("a", "video", "no depth", "joint", 0)),
        row(Run("a", "video", "depth", "no l1", 0), error="bad"),
    ]
    text = loop_table.document(rows)
    assert (
        0 < text.index("## From nothing but the video") < text.index("## From the video, BlazePose's heavy")
    )
    assert "no depth | joint | a | 0 | 40.0" in text
    assert "| depth | no l1 | a | 0 | bad |" in text


@pytest.mark.parametrize(
    ("found", "must", "aim", "at_least", "said"),
    [
        (20, 42, 20, False, "aim met"),
        (41, 42, 20, False, "met"),
        (43, 42, 20, False, "**missed**"),
        (7.5, 7, None, True, "met"),
        (6.5, 7, None, True, "**missed**"),
        (None, 7, None, True, ""),
    ],
)
def test_verdicts(found: float | None, must: float, aim: float | None, at_least: bool, said: str) -> None:
    assert loop_table.verdict(found, must, aim, at_least) == said


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no benchmark sequences in {SHARED}")
def test_from_nothing_but_a_sped_up_dark_video(tmp_path: Path) -> None:
    options = (
        "--sequence",
        "seq02_apose_turn",
        "--start",
        "video",
        "--inputs",
        "depth",
        "--variant",
        "joint",
    )
    (found,) = call(SHARED, tmp_path, *options, "--seed", "0", "--fast", "--dark")
    assert found["figures"]["start_seconds"] > 1
    assert 20 < found["figures"]["start"]["mpjpe"] < 200
    assert np.isfinite(found["figures"]["motion"]["mpjpe"])
