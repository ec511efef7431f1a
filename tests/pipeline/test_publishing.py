import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import InputError, StageError
from pipeline.publishing import publishing


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.ply"
    with publishing(target) as partial:
        partial.write_text("half")
        assert not target.exists()
        partial.write_text("whole")
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.ply"
    with pytest.raises(ValueError), publishing(target) as partial:
        partial.write_text("half")
        raise ValueError
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    target = tmp_path / "a.ply"
    target.write_text("old")
    with pytest.raises(InputError, match="exists already"), publishing(target):
        raise AssertionError
    with publishing(target, force=True) as partial:
        partial.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


def test_nor_what_appears_meanwhile(tmp_path: Path) -> None:
    target = tmp_path / "a.ply"
    with pytest.raises(InputError, match="exists already"), publishing(target) as partial:
        partial.write_text("ours")
        target.write_text("theirs")
    assert target.read_text() == "theirs"


def test_a_folder_replaces_an_older_one_of_ours(tmp_path: Path) -> None:
    target = tmp_path / "frames"
    for count in (3, 2):
        with publishing(target, force=True, folder_of=".png") as partial:
            for number in range(count):
                (partial / f"{number:06d}.png").write_text(str(count))
    assert sorted(path.name for path in target.iterdir()) == ["000000.png", "000001.png"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_to_a_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "000000.png").write_text("old")
    (tmp_path / "link").symlink_to("real")
    before = sorted(tmp_path.rglob("*"))
    with (
        pytest.raises(InputError, match="is a link to a folder"),
        publishing(tmp_path / "link", force=True, folder_of=".png"),
    ):
        raise AssertionError
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "link").is_symlink()


def test_a_folder_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "frames"
    with publishing(target, folder_of=".png") as partial:
        (partial / "000000.png").write_text("old")
    rename = Path.rename

    def fails(path: Path, to: Path) -> Path:
        if ".partial" in path.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", fails)
    with (
        pytest.raises(InputError, match="cannot be written"),
        publishing(target, force=True, folder_of=".png") as partial,
    ):
        (partial / "000000.png").write_text("new")
    assert (target / "000000.png").read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("prepare", "folder_of", "reason"),
    [
        (lambda path: path.mkdir(), "", "is a folder"),
        (lambda path: path.write_text("mine"), ".png", "is a file"),
        (lambda path: (path.mkdir(), (path / "thesis.docx").write_text("mine")), ".png", "holds other files"),
    ],
)
def test_force_replaces_only_its_own_kind(
    tmp_path: Path, prepare: Callable[[Path], object], folder_of: str, reason: str
) -> None:
    target = tmp_path / "a"
    prepare(target)
    with pytest.raises(InputError, match=reason), publishing(target, True, folder_of):
        raise AssertionError
    assert target.exists()


def test_a_full_disk_and_a_wrong_place_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="No room"), publishing(tmp_path / "a.ply"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), publishing(tmp_path / "file" / "a.ply"):
        raise AssertionError


def test_a_stages_folder_is_the_runs_own(tmp_path: Path) -> None:
    """Of any workspace, published or not, under its name or through a link, with --force or new."""
    place = tmp_path / "clip.hsplat"
    for folder in ("frames/images", "other", "mine"):
        (place / folder).mkdir(parents=True)
    (place / "workspace.json").write_text("{}")
    (place / "frames" / "images" / "000000.png").write_text("published")
    (place / "other" / "manifest.json").write_text("{}")  # a stage of another version
    (tmp_path / "link").symlink_to(place / "frames")
    before = sorted(tmp_path.rglob("*"))
    own = ("frames", "frames/images", "frames/new.mp4", "depth", ".depth.partial/a.ply", ".depth.scratch/1/a")
    targets = [
        *(place / name for name in own),
        place / "other" / "deep" / "a.ply",
        tmp_path / "link" / "a.ply",
    ]
    for target in targets:
        for folder_of in ("", ".png"):
            with (
                pytest.raises(InputError, match="is the run's own folder") as refusal,
                publishing(target, True, folder_of),
            ):
                raise AssertionError
            assert refusal.value.next_step == "Give another place."
    assert sorted(tmp_path.rglob("*")) == before
    for name in ("mine/a.ply", "exported/frames/a.ply", "a.mp4"):
        with publishing(place / name) as partial:
            partial.write_text("ours")
        assert (place / name).read_text() == "ours"
    with publishing(tmp_path / "frames" / "a.ply") as partial:  # no workspace's
        partial.write_text("ours")
