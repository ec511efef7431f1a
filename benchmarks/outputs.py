"""How fast `render` draws an avatar in its clip's motion.

    python -m benchmarks.outputs WORKSPACE [--write]

WORKSPACE is a finished one. Pictures of 512 x 512 pixels on the CPU, two threads, everything warm: once
without writing them, then into each kind of file.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

import pipeline  # noqa: F401 - sets the environment of what is imported below
from benchmarks.loop_table import machine
from models.avatar import Avatar
from models.rasterizer import set_num_threads
from stages.render import Take, plan, write_pictures
from stages.render.drawing import drawn

TABLE = Path(__file__).with_suffix(".md")
SIZE, THREADS = (512, 512), 2
WHITE = (1.0, 1.0, 1.0)
HEADING = """# Pictures of the avatar

`python -m benchmarks.outputs clip.hsplat --write`: what `render` does of {count:,} Gaussians in {frames}
frames of their clip's motion, {width} x {height} pixels, on the CPU with {threads} threads, warm: by the
wall clock, and CPU time of this process and of ffmpeg. {machine}.

| into | pictures/s | CPU ms a picture |
|---|---|---|
"""


def measured(work: Callable[[], None], pictures: int) -> tuple[float, float]:
    """Pictures a second, and milliseconds of CPU a picture, children included; the second of two calls."""
    work()
    began, cpu = time.perf_counter(), _cpu_seconds()
    work()
    return pictures / (time.perf_counter() - began), 1000 * (_cpu_seconds() - cpu) / pictures


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    times = psutil.Process().cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def ways(avatar: Avatar, take: Take, folder: Path) -> dict[str, Callable[[], None]]:
    """What is measured, by name."""

    def into(name: str, background: tuple[float, float, float] | None) -> Callable[[], None]:
        return lambda: write_pictures(folder / name, avatar, take, background)

    def drawing() -> None:
        for _ in drawn(avatar, take, WHITE):
            pass

    (folder / "pictures").mkdir()
    return {
        "nothing, only drawn": drawing,
        "an .mp4": into("a.mp4", WHITE),
        "transparent PNGs": into("pictures", None),
        "a transparent .webm": into("a.webm", None),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--write", action="store_true", help="the table beside this script")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    set_num_threads(THREADS)
    folder = arguments.workspace / "optimize"
    avatar = Avatar.load(folder / "avatar.npz")
    (take,), _ = plan(avatar, folder / "motion.npz", size=SIZE)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, work in ways(avatar, take, Path(scratch)).items():
            rate, cpu = measured(work, len(take))
            rows.append(f"| {name} | {rate:.0f} | {cpu:.0f} |\n")
            print(rows[-1], end="", flush=True)
    if arguments.write:
        heading = HEADING.format(
            count=len(avatar),
            frames=len(take),
            width=SIZE[0],
            height=SIZE[1],
            threads=THREADS,
            machine=machine(),
        )
        TABLE.write_text(heading + "".join(rows))


if __name__ == "__main__":
    main()
