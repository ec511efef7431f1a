"""Small clips made with ffmpeg, and a stage's call."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray

from stages.base import Settings, Stage, Work
from stages.frames import intrinsics
from stages.images import write_image

MakeClip = Callable[..., Path]
CallStage = Callable[..., tuple[dict[str, Any], Path]]
FramesFolder = Callable[..., Path]


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


@pytest.fixture
def frames_folder(tmp_path: Path) -> FramesFolder:
    """frames_folder(images, source_frames=...): as stage frames publishes it, every second picture taken."""

    def make(images: list[NDArray[np.uint8]], source_frames: int | None = None) -> Path:
        folder = tmp_path / "frames"
        (folder / "images").mkdir(parents=True)
        for index, image in enumerate(images):
            write_image(folder / "images" / f"{index:06d}.png", image)
        height, width = images[0].shape[:2]
        K = intrinsics(300.0, (width, height), (width, height))
        np.savez(
            folder / "frames.npz",
            times=np.arange(len(images)) / 15,
            source_index=2 * np.arange(len(images)),
            fps=15.0,
            K=K,
            K_source=K,
            width=width,
            height=height,
            source_width=width,
            source_height=height,
            source_frames=source_frames or 2 * len(images),
            focal_source="guess",
        )
        return folder

    return make
