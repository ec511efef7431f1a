"""Memory follows the configuration, not the length of the clip."""

import json
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.hostile.forks import ROOT

SLACK = 64 * 2**20  # bytes; the times of 18,000 pictures are less than one MiB

MEASURED = """
import json, resource, sys, time
from pathlib import Path
from stages.base import Work
from stages.frames import STAGE, FramesSettings
video, output = map(Path, sys.argv[1:])
output.mkdir()
began = time.monotonic()
settings = FramesSettings(video=video)
summary = STAGE.run(Work({}, output, output, settings, "ffmpeg"))
peaks = [resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({"peaks": peaks, "seconds": time.monotonic() - began, **summary}))
"""


def film(path: Path, seconds: int) -> None:
    """A clip in 1080p: two seconds of a test picture, repeated without encoding them again."""
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
    once = path.with_name("once.mp4")
    if not once.exists():
        source = ["-f", "lavfi", "-i", "testsrc=size=1920x1080:rate=30:duration=2"]
        subprocess.run([*ffmpeg, *source, "-preset", "ultrafast", "-pix_fmt", "yuv420p", once], check=True)
    repeat = ["-stream_loop", str(seconds // 2 - 1), "-i", str(once), "-c", "copy", str(path)]
    subprocess.run([*ffmpeg, *repeat], check=True)


def measure(folder: Path, seconds: int) -> dict:
    """Stage frames on such a clip, in a process of its own."""
    film(folder / f"{seconds}.mp4", seconds)
    call = [sys.executable, "-c", MEASURED, folder / f"{seconds}.mp4", folder / f"{seconds}"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict = json.loads(done.stdout)
    print(seconds, found)
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_minutes_take_no_more_memory_than_ten_seconds(tmp_path: Path) -> None:
    short, long = (measure(tmp_path, seconds) for seconds in (10, 600))
    assert long["source_frames"] == 60 * short["source_frames"] == 18_000
    assert long["frames"] == 150
    assert any("left out" in warning for warning in long["warnings"])
    for peak, usual in zip(long["peaks"], short["peaks"], strict=True):
        assert peak < usual + SLACK
