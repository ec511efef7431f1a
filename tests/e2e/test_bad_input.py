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


@pytest.mark.parametrize("make", [text, truncated, sound, one_picture, playlist, nobody])
def test_it_is_refused(call: Callable[..., Ended], tmp_path: Path, make: Callable[[Path], None]) -> None:
    video = tmp_path / "Übung 1.mp4"
    make(video)
    before = video.read_bytes()
    ended = call("run", video)
    assert ended.status == 2
    assert ended.err.count("Error: ") == 1
    assert "Traceback" not in ended.err
    assert "unforeseen" not in ended.err
    assert ended.out == ""
    assert video.read_bytes() == before
    assert not (tmp_path / "Übung 1.hsplat" / "export").exists()
