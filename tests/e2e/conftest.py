"""The command line on the real chain."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.__main__ import main
from stages.video import ffmpeg_executable

ROOT = Path(__file__).parent.parent.parent
CLIP = ROOT / "examples" / "clip.mp4"


FRAMES = 12
SMALL = (
    f"frames.max_frames={FRAMES}", "frames.min_fps=1", "frames.max_side=240",
    "optimize.device=cpu", "optimize.gaussians=1500", "optimize.final_gaussians=2000",
    "optimize.person_pixels=64", "optimize.final_person_pixels=96", "optimize.alignment_steps=60",
    "optimize.silhouette_steps=20", "optimize.joint_steps=60", "optimize.appearance_steps=20",
    "export.video_height=160", "export.turntable_frames=6",
)  # fmt: skip
OPTIONS = [part for setting in SMALL for part in ("--set", setting)]

Start = Callable[..., subprocess.Popen[str]]


@dataclass(frozen=True)
class Ended:
    """How a call ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Ended]:
    """Calls the command line in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["hsplat-pipeline", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return Ended(int(end.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def start() -> Iterator[Start]:
    """Starts the command line in a process of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def popen(*arguments: object, **options: object) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "pipeline", *map(str, arguments)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                **options,
            )
        )
        return started[-1]

    yield popen
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def until_depth(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with all but the last two stages done; to be copied, not used."""
    folder = tmp_path_factory.mktemp("half") / "clip.hsplat"
    process = start("run", CLIP, "--workspace", folder, *OPTIONS, "--until", "depth")
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return folder


@pytest.fixture
def half_done(until_depth: Path, tmp_path: Path) -> Path:
    """A copy of it of the test's own."""
    return shutil.copytree(until_depth, tmp_path / "clip.hsplat")


def ffmpeg(*arguments: object) -> None:
    """Makes a file with ffmpeg."""
    subprocess.run(
        [ffmpeg_executable(), "-v", "error", "-y", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL
    )
