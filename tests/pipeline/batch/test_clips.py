"""Which files are clips, and whose workspace is where."""

import os
import zlib
from collections import Counter
from pathlib import Path

import pytest

from models.errors import InputError
from pipeline.batch.clips import Clip, Shard, find_clips, find_workspaces
from pipeline.workspace import Workspace


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("clip")


def places(clips: list[Clip], folder: Path) -> dict[str, str]:
    return {clip.name: str(clip.folder.relative_to(folder)) for clip in clips}


def test_only_videos_and_no_workspaces(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a.MOV", "x.txt", ".c.mp4", "b.hsplat/export/avatar.mp4", "deep/d.webm")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert [clip.name for clip in find_clips(tmp_path)] == ["a.MOV", "b.mp4"]
    assert [clip.name for clip in find_clips(tmp_path, recursive=True)] == ["a.MOV", "b.mp4", "deep/d.webm"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, "deep/d.mp4")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    assert [clip.name for clip in find_clips(tmp_path, recursive=True)] == ["deep/d.mp4"]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [(["*.txt"], ["x.txt"]), (["B*", "*.mov"], ["a.MOV", "b.mp4"]), (["deep/*"], ["deep/d.webm"])],
)
def test_patterns(tmp_path: Path, patterns: list[str], names: list[str]) -> None:
    touch(tmp_path, "b.mp4", "a.MOV", "x.txt", "deep/d.webm")
    assert [clip.name for clip in find_clips(tmp_path, None, True, patterns)] == names


def test_each_clip_has_a_workspace_of_its_own(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "a.mov", "A.mkv", "a.mov.webm", "deep/a.mp4")
    found = places(find_clips(tmp_path, recursive=True), tmp_path)
    assert found["A.mkv"] == "A.hsplat"
    assert found["deep/a.mp4"] == "deep/a.hsplat"
    assert len({place.casefold() for place in found.values()}) == len(found) == 5


def test_output_mirrors_the_folders_and_is_not_searched(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "deep/a.mp4", "out/deep/a.mp4")
    found = places(find_clips(tmp_path, tmp_path / "out", recursive=True), tmp_path)
    assert found == {"a.mp4": "out/a.hsplat", "deep/a.mp4": "out/deep/a.hsplat"}


def test_a_clip_keeps_its_workspace_when_one_of_the_same_name_comes(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    workspace = Workspace(tmp_path / "a.hsplat")
    with workspace.open_for(tmp_path / "a.mp4"):
        workspace.save_record(tmp_path / "a.mp4", {})
    touch(tmp_path, "a.avi")
    assert places(find_clips(tmp_path), tmp_path) == {"a.avi": "a.avi.hsplat", "a.mp4": "a.hsplat"}
    assert list(find_workspaces(tmp_path)) == [tmp_path / "a.hsplat"]


def test_names_that_no_terminal_should_see_are_escaped(tmp_path: Path) -> None:
    touch(tmp_path, "a\udcff.mp4", "b\x1b[2J\n\x9b.mp4", "c\u202e.mp4", "d \u00e4\u200d\U0001f600\\.mp4")
    assert [clip.name for clip in find_clips(tmp_path)] == [
        r"a\udcff.mp4", r"b\u001b[2J\n\u009b.mp4", r"c\u202e.mp4", "d \u00e4\u200d\U0001f600\\.mp4"
    ]  # fmt: skip


def test_clips_whose_workspace_has_no_valid_name_are_found(tmp_path: Path) -> None:
    touch(tmp_path, "deep\udcff/a.mp4", "deep\udcff/a.mov", "a.mp4")
    assert len({clip.folder for clip in find_clips(tmp_path, recursive=True)}) == 3


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        find_clips(tmp_path / "none")


def test_the_true_name_decides_the_shard(tmp_path: Path) -> None:
    shards = [Shard(number, 5) for number in range(1, 6)]
    for path in ("b\x1b\n.mp4", "a\udcff.mp4", "plain.mp4"):
        [held] = [shard.number for shard in shards if shard.holds(Clip(path, tmp_path, tmp_path))]
        assert held == zlib.crc32(os.fsencode(path)) % 5 + 1


def test_shards_are_a_partition(tmp_path: Path) -> None:
    clips = [Clip(f"{n}.mp4", tmp_path, tmp_path) for n in range(300)]
    shards = [Shard.parsed(f"{n}/3") for n in (1, 2, 3)]
    held = Counter(clip.name for shard in shards for clip in clips if shard.holds(clip))
    assert len(held) == 300
    assert set(held.values()) == {1}
    assert all(60 < sum(map(shard.holds, clips)) < 140 for shard in shards)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "a/b", "1/2/3", "-1/2"])
def test_bad_shards(text: str) -> None:
    with pytest.raises(InputError, match="--shard"):
        Shard.parsed(text)
