"""Weights that are none: one clear message, exit status 2, earlier stages kept."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.e2e.conftest import CLIP, Ended

Call = Callable[..., Ended]

FEW = ("--set", "frames.max_frames=8", "--set", "frames.min_fps=1", "--set", "frames.max_side=240")


def cut_off(path: Path) -> None:
    torch.save({"model": torch.zeros(5000)}, path)
    path.write_bytes(path.read_bytes()[:9000])


def anothers(path: Path) -> None:
    torch.save({"image_encoder.pos_embed": torch.zeros(2)}, path)


def foreign(path: Path) -> None:
    torch.save({"model": Path.cwd, "ema": print}, path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (cut_off, "cut off"),
        (anothers, "no network of ultralytics' but image_encoder.pos_embed"),
        (foreign, "which no network needs"),
        (Path.touch, "cut off, or no network"),
    ],
)
def test_they_end_the_run_and_what_is_done_stays(
    call: Call, tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    pytest.importorskip("ultralytics", reason="ultralytics is not installed")
    make(tmp_path / "mine.pt")
    ended = call("run", CLIP, *FEW, "--until", "detect", "--set", "detect.weights=mine.pt")
    assert ended.status == 2
    assert "mine.pt" in ended.err and reason in ended.err and "Traceback" not in ended.err
    assert (tmp_path / "clip.hsplat/frames/manifest.json").is_file()
    assert not (tmp_path / "clip.hsplat/detect").exists()
