"""Memory and time of every stage over the clip's length: python -m benchmarks.load CLIP [--write].

CLIP, a short video of a person, is scaled to a side of 1920 pixels and repeated; each length is run once
with the preset fast, in a process of its own.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import stages
from benchmarks.rasterizer import cpu_name
from pipeline.workspace import Manifest, Workspace
from stages.probe import probe
from stages.video import ffmpeg_executable

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_suffix(".md")
LENGTHS = (10, 60, 600)  # seconds
SCALED = "scale=1920:1920:force_original_aspect_ratio=decrease:force_divisible_by=2"


def repeated(clip: Path, folder: Path) -> Iterator[tuple[int, Path]]:
    """The clip, large and of every length; encoded once, so that ten minutes take no longer to make."""
    ffmpeg = [ffmpeg_executable(), "-v", "error", "-y"]
    once = folder / "once.mp4"
    subprocess.run([*ffmpeg, "-i", clip, "-an", "-vf", SCALED, "-preset", "ultrafast", once], check=True)
    for seconds in LENGTHS:
        path = folder / f"{seconds}.mp4"
        length = ["-t", str(seconds), "-c", "copy", path]
        subprocess.run([*ffmpeg, "-stream_loop", "-1", "-i", once, *length], check=True)
        yield seconds, path


def measured(video: Path) -> dict[str, Manifest]:
    """The records of all stages of a run."""
    folder = video.with_suffix(".hsplat")
    call = [sys.executable, "-m", "pipeline", "run", video, "--workspace", folder, "--preset", "fast"]
    subprocess.run([*call, "--device", "cpu"], cwd=ROOT, check=True)
    return {stage.name: Workspace(folder).manifest(stage.name) for stage in stages.STAGES}


def table(clip: Path, folder: Path) -> Iterator[str]:
    yield "| clip | pictures | " + " | ".join(f"{stage.name}, MB / s" for stage in stages.STAGES) + " |"
    yield "|---|---|" + "---|" * len(stages.STAGES)
    for seconds, video in repeated(clip, folder):
        seen = probe(video)
        spent = [f"{m.peak_memory / 1e6:.0f} / {m.seconds:.1f}" for m in measured(video).values()]
        yield f"| {seconds} s of {seen.width}x{seen.height} | {len(seen.times)} | " + " | ".join(spent) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.name}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = "\n".join(table(arguments.clip.resolve(), Path(folder)))
    text = (
        "# Long clips\n\nWritten by `python -m benchmarks.load examples/clip.mp4 --write`: the peak memory\n"
        "of the process and the seconds of every stage, preset fast. Beyond its limit of pictures\n"
        "a clip is sampled.\n"
        f"{cpu_name()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"the load average was {os.getloadavg()[0]:.1f} at the end.\n\n{rows}\n"
    )
    print(text)
    if arguments.write:
        TABLE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
