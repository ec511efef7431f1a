"""The engines' benchmark on a few frames."""

from pathlib import Path

import pytest
import torch

from benchmarks import models as benchmark
from models import gpu

PAGE = "# Title\n\nText.\n"


def test_a_trial_is_measured() -> None:
    pytest.importorskip("ultralytics", reason="ultralytics is not installed")
    measured = benchmark.measure(benchmark.TRIALS["yolo"], torch.device("cpu"), full=False, count=4)
    assert measured.speed > 0 and measured.network > 0 and measured.rest > 0
    assert 1e3 / measured.speed == pytest.approx(measured.network + measured.rest)
    row = measured.row(full=False)
    assert row.count("|") == benchmark.HEAD.split("\n")[0].count("|")
    assert "detect | YOLO11 n" in row


@pytest.mark.parametrize(
    ("name", "package", "row"),
    [
        ("sam", "segment_anything", "masks | SAM ViT-B"),
        ("depth_anything", "transformers", "depth | Depth Anything"),
    ],
)
def test_dense_trials_are_measured(name: str, package: str, row: str) -> None:
    pytest.importorskip(package)
    measured = benchmark.measure(benchmark.TRIALS[name], torch.device("cpu"), full=False, count=4)
    assert measured.network > 0
    assert measured.rest > 0
    assert row in measured.row(full=False)


def test_passes_of_a_networks_parts_add_up() -> None:
    parts = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    with benchmark.timed(parts, torch.device("cpu")) as spent:
        for part in parts:
            part(torch.zeros(1, 2))
    assert len(spent) == 2


def test_passes_are_timed_and_the_hooks_removed() -> None:
    network = torch.nn.Linear(2, 2)
    with benchmark.timed(network, torch.device("cpu")) as spent:
        network(torch.zeros(1, 2))
        network(torch.zeros(1, 2))
    network(torch.zeros(1, 2))
    assert len(spent) == 2 and min(spent) > 0


def test_targets_are_judged() -> None:
    trial = benchmark.TRIALS["yolo"]
    fast = benchmark.Measured(trial, "net", 200.0, 4.0, 1.0, 2**31)
    assert "| 200 | 150: met | 4.0 | 1.0 | 2.0 GiB |" in fast.row(full=True)
    slow = benchmark.Measured(trial, "net", 100.0, 4.0, 6.0, 0)
    assert "150: missed" in slow.row(full=True)
    assert "6.0, below 5: missed" in slow.row(full=False)


def test_a_section_takes_its_own_place() -> None:
    once = benchmark.written(benchmark.written(PAGE, "One", "\na"), "Two", "\nb")
    assert once == "# Title\n\nText.\n\n## One\n\na\n\n## Two\n\nb\n"
    again = benchmark.written(once, "One", "\nc")
    assert again == "# Title\n\nText.\n\n## Two\n\nb\n\n## One\n\nc\n"


def test_the_clip_begins_again() -> None:
    frames = benchmark.pictures(10)
    assert len(frames) == 10 and frames[0].ndim == 3


def test_without_a_gpu_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "device", lambda: None)
    assert benchmark.main(["--device", "cuda", "--full", "--write"]) == 2
    assert "no usable CUDA device" in capsys.readouterr().err


def test_what_was_measured_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "models.md"
    page.write_text(PAGE)
    monkeypatch.setattr(benchmark, "PAGE", page)
    fake = benchmark.Measured(benchmark.TRIALS["yolo"], "net", 10.0, 1.0, 1.0, 0)
    monkeypatch.setattr(benchmark, "measure", lambda *arguments: fake)
    assert benchmark.main(["--only", "yolo", "--write"]) == 0
    assert "## On the CPU, small networks" in page.read_text()
    assert "| detect | net | 10 |" in page.read_text()
