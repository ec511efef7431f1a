"""Clips that are unusual but usable: what comes out, what the user is told, how much memory it takes."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.e2e.conftest import CLIP, FRAMES, OPTIONS, Ended, Start, ffmpeg

GIB = 2**30


def person_in_the_middle_third(path: Path) -> None:
    """The examples' person for a third of the time, plain pictures before and after."""
    empty = ("-f", "lavfi", "-i", "color=0x8090a0:size=480x640:rate=15:duration=1.6")
    join = "[0:v]setsar=1[a];[1:v]setsar=1[b];[2:v]setsar=1[c];[a][b][c]concat=n=3:v=1"
    ffmpeg(*empty, "-t", "1.6", "-i", CLIP, *empty, "-filter_complex", join, "-pix_fmt", "yuv420p", path)


def two_people(path: Path) -> None:
    halves = "[0:v]scale=360:480,pad=480:640:60:100:gray[a];[0:v]hflip[b];[a][b]hstack"
    ffmpeg("-i", CLIP, "-filter_complex", halves, path)


def sixty_a_second(path: Path) -> None:
    ffmpeg("-i", CLIP, "-vf", "fps=60", path)


def ten_bit(path: Path) -> None:
    ffmpeg("-i", CLIP, "-c:v", "libx264", "-pix_fmt", "yuv420p10le", path)


def odd_sides(path: Path) -> None:
    ffmpeg("-i", CLIP, "-vf", "crop=479:639:0:0", "-pix_fmt", "yuv444p", path)


def held_sideways(path: Path) -> None:
    """As phones write portrait clips: lying pictures, and a note to turn them."""
    lying = path.with_name("lying.mp4")
    ffmpeg("-i", CLIP, "-vf", "transpose=clock", lying)
    ffmpeg("-display_rotation", "90", "-i", lying, "-c", "copy", path)


def three_tenths_of_a_second(path: Path) -> None:
    ffmpeg("-i", CLIP, "-t", "0.3", "-vf", "fps=30", path)


def test_a_person_in_a_third_of_the_frames(call: Callable[..., Ended], tmp_path: Path) -> None:
    clip = tmp_path / "Übung im Flur.mp4"
    person_in_the_middle_third(clip)
    ended = call("run", clip, *OPTIONS)
    folder = tmp_path / "Übung im Flur.hsplat"
    assert ended.status == 0
    assert f"of {FRAMES} frames; choose the part that shows them" in ended.err
    with np.load(folder / "export" / "motion.npz", allow_pickle=False) as motion:
        assert len(motion["poses"]) == FRAMES
        assert FRAMES // 4 <= motion["valid"].sum() <= FRAMES // 2
        assert not motion["valid"][[0, -1]].any()
        assert np.isfinite(motion["poses"]).all()
        assert np.isfinite(motion["trans"]).all()


def test_two_people_are_listed(call: Callable[..., Ended], tmp_path: Path) -> None:
    clip = tmp_path / "two.mp4"
    two_people(clip)
    ended = call("run", clip, *OPTIONS, "--until", "detect")
    assert ended.status == 0
    assert "detect: note: following person 1; --person takes another: 2: " in ended.err
    assert call("run", clip, *OPTIONS, "--until", "detect", "--person", "2").status == 0
    summary = json.loads((tmp_path / "two.hsplat" / "detect" / "manifest.json").read_text())["summary"]
    assert summary["chosen"] == 2
    assert [each["where"] for each in summary["people"]] == ["right", "left"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [sixty_a_second, ten_bit, odd_sides, held_sideways, three_tenths_of_a_second]
)
def test_clips_of_every_kind_become_avatars(
    call: Callable[..., Ended], tmp_path: Path, make: Callable[[Path], None]
) -> None:
    clip = tmp_path / "clip.mp4"
    make(clip)
    ended = call("run", clip, *OPTIONS)
    assert ended.status == 0
    with np.load(tmp_path / "clip.hsplat" / "export" / "motion.npz", allow_pickle=False) as motion:
        assert motion["height"] > motion["width"]
        assert motion["valid"].mean() > 0.8
        # The head is above the feet: the picture is upright.
        assert (
            motion["joints"][motion["valid"], 15, 1] < motion["joints"][motion["valid"], 7, 1] - 0.5
        ).all()


@pytest.mark.slow
def test_memory_is_bounded_for_4k(start: Start, tmp_path: Path) -> None:
    """Decoded, the clip's pictures would fill 900 MB; at most a few may be held at once."""
    clip = tmp_path / "4k.mp4"
    ffmpeg("-i", CLIP, "-vf", "scale=2160:2880:flags=neighbor", "-preset", "ultrafast", clip)
    process = start("run", clip, "--workspace", tmp_path / "w", "--until", "frames")
    reading = peak_memory(process)
    assert process.returncode == 0
    assert reading < 0.7 * GIB
    process = start("run", clip, "--workspace", tmp_path / "w", *OPTIONS)
    assert peak_memory(process) < 4 * GIB
    assert process.returncode == 0


def peak_memory(process: subprocess.Popen[str]) -> int:
    """The most bytes that a process and its children held together until it ended."""
    peak = 0
    while process.poll() is None:
        try:
            tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            peak = max(peak, sum(each.memory_info().rss for each in tree))
        except psutil.Error:  # one of them has just ended
            pass
        time.sleep(0.02)
    return peak
