"""Writing videos, and no child process left behind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from models.errors import StageError
from stages import video
from stages.probe import probe
from stages.video import ffmpeg_executable, read_video, write_video
from tests.stages.conftest import MakeClip


def greys(count: int, height: int = 48, width: int = 64) -> Iterator[NDArray[np.uint8]]:
    return (np.full((height, width, 3), 10 * index, dtype=np.uint8) for index in range(count))


@pytest.fixture(autouse=True)
def no_child_left() -> Iterator[None]:
    yield
    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


def test_written_pictures_come_back(tmp_path: Path) -> None:
    path = tmp_path / "Übersicht 1.mp4"
    colours = np.zeros((12, 96, 128, 3), dtype=np.uint8)
    colours[:, :, :64] = [200, 30, 60]
    colours[:, :, 64:] = [20, 160, 90]
    assert write_video(path, iter(colours), fps=12.5) == 12
    info = probe(path)
    assert (info.width, info.height, len(info.times)) == (128, 96, 12)
    assert info.rate == pytest.approx(12.5, rel=1e-3)
    back = [image for _, image in read_video(info, (128, 96), every=1 / 12.5)]
    assert len(back) == 12
    for part in (slice(4, 60), slice(68, 124)):
        np.testing.assert_allclose(
            back[5][:, part].mean(axis=(0, 1)), colours[5][:, part].mean(axis=(0, 1)), atol=3
        )


def test_a_suffix_in_capitals_is_the_same(tmp_path: Path) -> None:
    write_video(tmp_path / "a.WEBM", np.full((2, 48, 64, 4), 128, np.uint8), fps=5)
    write_video(tmp_path / "a.MP4", greys(2), fps=5)
    with av.open(str(tmp_path / "a.WEBM")) as film:
        assert film.streams.video[0].codec_context.name in ("vp9", "libvpx-vp9")
    with av.open(str(tmp_path / "a.MP4")) as film:
        assert film.streams.video[0].codec_context.name == "h264"


def test_browsers_can_play_it(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    write_video(path, greys(10, height=47, width=63), fps=15)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (64, 48)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "the index comes first, so playing starts at once"


def test_names_in_no_known_alphabet_do_not_matter(tmp_path: Path) -> None:
    whole, odd = tmp_path / "whole.mp4", tmp_path / "odd.mp4"
    write_video(whole, greys(5), fps=5)
    named = ["-c", "copy", "-metadata", "title=Abendlicht", odd]
    subprocess.run([ffmpeg_executable(), "-v", "error", "-i", whole, *named], check=True)
    odd.write_bytes(odd.read_bytes().replace(b"Abendlicht", b"Ab\x80\xffdlicht"))
    assert b"\x80\xffdlicht" in odd.read_bytes()
    assert len(list(read_video(probe(odd), (64, 48), every=0.2))) == 5


def test_pictures_need_one_size(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(ValueError, match="picture 3"):
        write_video(path, [*greys(3), *greys(1, height=50)], fps=15)
    assert not path.exists()


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        write_video(tmp_path / "out.mp4", [], fps=15)


def test_failure_of_the_pictures_source_ends_ffmpeg(tmp_path: Path) -> None:
    def broken() -> Iterator[NDArray[np.uint8]]:
        yield from greys(2)
        raise RuntimeError("renderer")

    with pytest.raises(RuntimeError, match="renderer"):
        write_video(tmp_path / "out.mp4", broken(), fps=15)
    assert not (tmp_path / "out.mp4").exists()


def test_folder_missing(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="No such file"):
        write_video(tmp_path / "nowhere" / "out.mp4", greys(5), fps=15)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.symlink_to("/dev/full")
    with pytest.raises(StageError, match=r"out\.mp4 could not be written: No space left on device"):
        write_video(path, greys(20), fps=15)


def test_reader_left_early_ends_ffmpeg(make_clip: MakeClip) -> None:
    info = probe(make_clip("clip.mp4", source="testsrc=size=640x480:rate=30:duration=10"))
    pictures = read_video(info, (640, 480), every=1 / 30)
    next(pictures)
    assert [child for child in psutil.Process().children() if "ffmpeg" in child.name()]
    pictures.close()


def test_ffmpeg_ends_when_its_parent_is_killed(make_clip: MakeClip) -> None:
    clip = make_clip("clip.mp4", source="testsrc=size=640x480:rate=30:duration=10")
    script = (
        "import sys, time, psutil; from pathlib import Path; from stages.probe import probe; "
        "from stages.video import read_video; "
        "pictures = read_video(probe(Path(sys.argv[1])), (640, 480), every=1 / 30); next(pictures); "
        "print(psutil.Process().children()[0].pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(clip)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    psutil.wait_procs([child], timeout=20)
    assert not child.is_running()


def test_no_ffmpeg_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> str:
        raise RuntimeError("no binary")

    monkeypatch.setattr(video.shutil, "which", lambda name: None)
    monkeypatch.setattr(video.imageio_ffmpeg, "get_ffmpeg_exe", nothing)
    ffmpeg_executable.cache_clear()
    try:
        with pytest.raises(StageError, match="No ffmpeg"):
            ffmpeg_executable()
    finally:
        ffmpeg_executable.cache_clear()


def test_ffmpeg_without_the_encoder_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    poor = tmp_path / "ffmpeg"
    poor.write_text("#!/bin/sh\necho mpeg4\n")
    poor.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    ffmpeg_executable.cache_clear()
    try:
        assert ffmpeg_executable() == str(poor)
        assert ffmpeg_executable("libx264") != str(poor)
    finally:
        ffmpeg_executable.cache_clear()
