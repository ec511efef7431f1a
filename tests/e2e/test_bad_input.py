"""Videos that cannot become an avatar: one clear message, exit status 2, nothing lost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import CLIP, Ended, ffmpeg

PICTURES = ("-f", "lavfi", "-i")


def text(path: Path) -> None:
    path.write_text("Dear diary, today I filmed nothing.\n" * 99)


def truncated(path: Path) -> None:
    path.write_bytes(CLIP.read_bytes()[:20_000])


def sound(path: Path) -> None:
    ffmpeg(*PICTURES, "sine=duration=2", "-c:a", "aac", path)


def one_picture(path: Path) -> None:
    ffmpeg(*PICTURES, "testsrc=size=320x240:rate=10:duration=0.1", path)


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")


def nobody(path: Path) -> None:
    ffmpeg(*PICTURES, "gradients=size=320x240:rate=10:duration=2:seed=1", "-pix_fmt", "yuv420p", path)


def short(path: Path) -> None:
    ffmpeg("-i", CLIP, "-t", "0.3", path)


@pytest.mark.parametrize(
    ("make", "reason", "next_step"),
    [
        (text, "is not a video that can be read", "Give a video file"),
        (Path.touch, "is empty", "Copy or record it again"),
        (truncated, "none of its pictures can be decoded", "Copy it from the camera again"),
        (sound, "holds no moving pictures", "Give a video file"),
        (one_picture, "has 1 picture; at least 8 are needed", "Film the person for some seconds"),
        (short, "has 5 pictures; at least 8 are needed", "Film the person for some seconds"),
        (playlist, "is not a video that can be read", "Give a video file"),
        (nobody, "Nobody was found in", "Film one person whole"),
    ],
)
def test_it_is_refused(
    call: Callable[..., Ended], tmp_path: Path, make: Callable[[Path], None], reason: str, next_step: str
) -> None:
    video = tmp_path / "Übung 1.mp4"
    make(video)
    before = video.read_bytes()
    ended = call("run", video)
    assert ended.status == 2
    assert ended.err.count("Error: ") == 1
    problem, advice = ended.err[ended.err.index("Error: ") :].splitlines()
    assert reason in problem
    assert video.name in problem or "the video" in problem
    assert next_step in advice
    assert "Traceback" not in ended.err
    assert "unforeseen" not in ended.err
    assert ended.out == ""
    assert video.read_bytes() == before
    assert not (tmp_path / "Übung 1.hsplat" / "export").exists()


@pytest.mark.parametrize("name", ["", "none.mp4", "folder"])
def test_what_is_no_file_makes_no_workspace(call: Callable[..., Ended], tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    ended = call("run", tmp_path / name)
    assert ended.status == 2
    assert str(tmp_path / name) in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
