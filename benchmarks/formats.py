"""Times `export`: python -m benchmarks.formats WORKSPACE [--write], from the repository root.

WORKSPACE is a finished one; its motion is repeated until it lasts ten seconds. Every format is written once,
in this process, into a folder that is removed afterwards.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.rasterizer import cpu_name
from stages.export.content import NEEDS, Content
from stages.export.formats import FORMATS, Format

SECONDS = 10.0
TABLE = Path(__file__).with_suffix(".md")


def lengthened(content: Content) -> Content:
    """The clip again and again, for ten seconds."""
    motion = content.motion
    count = round(SECONDS * motion.fps)
    again = np.arange(count) % len(motion)
    rows = {
        name: values[again]
        for name, values in vars(motion).items()
        if name != "frame" and isinstance(values, np.ndarray) and len(values) == len(motion)
    }
    longer = replace(motion, **rows, frame=np.arange(count))
    return replace(content, motion=longer, times=np.arange(count) / motion.fps)


def measured(one: Format, content: Content, folder: Path) -> tuple[float, int, int]:
    """Seconds, files and bytes of a format."""
    frames = range(len(content.motion)) if one.holds == "frame" else [None]
    began = time.perf_counter()
    for frame in frames:
        one.write(folder / f"{frame or ''}{one.file}", content, frame, "y")
    seconds = time.perf_counter() - began
    files = list(folder.iterdir())
    return seconds, len(files), sum(path.stat().st_size for path in files)


def table(content: Content) -> Iterable[str]:
    yield "| format | seconds | files | size | of the ply |"
    yield "|---|---|---|---|---|"
    total, ply = 0.0, 0
    for name, one in FORMATS.items():
        with tempfile.TemporaryDirectory() as folder:
            seconds, files, size = measured(one, content, Path(folder))
        total, ply = total + seconds, ply or size
        share = f"{100 * size / ply:.0f} %" if one.holds == "pose" else ""
        yield f"| {name} | {seconds:.2f} | {files} | {size / 1e6:.2f} MB | {share} |"
    yield f"| together | {total:.1f} | | | |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--write", action="store_true", help=f"into {TABLE.name}")
    call = parser.parse_args()
    content = lengthened(Content.load({name: call.workspace / name for name in NEEDS}))
    lines = list(table(content))
    print("\n".join(lines))
    if call.write:
        width, height = content.size
        what = (
            f"{len(content.avatar):,} Gaussians, {len(content.motion)} frames of {width}x{height} at "
            f"{content.motion.fps:g} a second. {cpu_name()}, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}; the load average was {os.getloadavg()[0]:.1f} at the end."
        )
        head = "Written by `python -m benchmarks.formats WORKSPACE --write`: a clip of ten seconds."
        TABLE.write_text(f"# Exporting\n\n{head}\n{what}\n\n" + "\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
