"""Small clips made with ffmpeg, and a stage's call."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from stages.base import Settings, Stage, Work

MakeClip = Callable[..., Path]
CallStage = Callable[..., tuple[dict[str, Any], Path]]


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """make_clip(name, *output options, source=lavfi graph or file, before=input options) gives the path."""

    def make(
        name: str,
        *options: str,
        source: str | Path = "testsrc=size=96x64:rate=30:duration=1",
        before: tuple[str, ...] = (),
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        origin = ["-i", f"file:{source}"] if isinstance(source, Path) else ["-f", "lavfi", "-i", source]
        executable = imageio_ffmpeg.get_ffmpeg_exe()
        call = [executable, "-y", "-loglevel", "error", *before, *origin, *options, f"file:{path}"]
        subprocess.run(call, check=True, stdin=subprocess.DEVNULL)
        return path

    return make


@pytest.fixture
def call_stage(tmp_path: Path) -> CallStage:
    """call_stage(stage, settings, **inputs) runs a stage; gives its summary and its folder."""

    def call(stage: Stage, settings: Settings, **inputs: Path) -> tuple[dict[str, Any], Path]:
        output, scratch = tmp_path / f"{stage.name}.out", tmp_path / f"{stage.name}.scratch"
        for folder in (output, scratch):
            folder.mkdir()
        work = Work(inputs, output, scratch, settings, stage.engine(settings))
        return stage.run(work), output

    return call
