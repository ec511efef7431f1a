"""The folder that the benchmark of `batch` looks at is one that `batch` itself would leave."""

import os
from pathlib import Path

import pytest

from benchmarks.batch import make_folder
from pipeline import hashing
from pipeline.workspace import Workspace


def test_the_copies_remember_their_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"a clip")
    os.utime(video, (1e9, 1e9))  # what is only just written is not remembered
    source = Workspace(tmp_path / "clip.hsplat")
    with source.open_for(video):
        source.save_record(video, {"frames": {"video": str(video), "fps": 10}})
    folder = tmp_path / "many"
    folder.mkdir()
    make_folder(folder, source, 2)

    def read(path: Path) -> str:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(hashing, "file_hash", read)
    for number in range(2):
        clip, copy = folder / f"clip{number:05}.mp4", Workspace(folder / f"clip{number:05}.hsplat")
        assert copy.hashes.of(clip, "VIDEO") == source.record().video_sha256
        assert copy.record().video == clip
        assert copy.record().configuration == {"frames": {"video": str(clip), "fps": 10}}
