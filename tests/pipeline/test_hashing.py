"""Content hashes and what is remembered of them."""

import hashlib
import os
from pathlib import Path

import pytest

from models.errors import InputError
from pipeline import hashing
from pipeline.hashing import Hashes, data_hash


def old(path: Path, text: str, time: int = 1_000_000_000) -> Path:
    path.write_text(text)
    os.utime(path, ns=(time, time))
    return path


def test_a_file_is_hashed_by_content(tmp_path: Path) -> None:
    file = old(tmp_path / "a", "text")
    assert Hashes(tmp_path / "store").of(file, "k") == hashlib.sha256(b"text").hexdigest()


def test_a_known_file_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = old(tmp_path / "a", "text")
    first = Hashes(tmp_path / "store")
    expected = first.of(file, "k")
    first.save()
    monkeypatch.setattr(hashing, "file_hash", lambda path: pytest.fail("read again"))
    assert Hashes(tmp_path / "store").of(file, "k") == expected


@pytest.mark.parametrize(("text", "time"), [("next", 2_000_000_000), ("longer", 1_000_000_000)])
def test_another_size_or_time_is_read_again(tmp_path: Path, text: str, time: int) -> None:
    hashes = Hashes(tmp_path / "store")
    before = hashes.of(old(tmp_path / "a", "text"), "k")
    assert hashes.of(old(tmp_path / "a", text, time), "k") != before


def test_a_file_written_just_now_is_not_remembered(tmp_path: Path) -> None:
    hashes = Hashes(tmp_path / "store")
    file = tmp_path / "a"
    file.write_text("one")
    stat = file.stat()
    first = hashes.of(file, "k")
    file.write_text("two")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert hashes.of(file, "k") != first


def test_a_folder_is_hashed_by_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    old(folder / "a", "one")
    hashes = Hashes(tmp_path / "store")
    first = hashes.of(folder, "k")
    assert hashes.of(folder, "k") == first
    (folder / "a").rename(folder / "b")
    second = hashes.of(folder, "k")
    old(folder / "b", "two", 3_000_000_000)
    assert len({first, second, hashes.of(folder, "k")}) == 3


def test_what_lies_deeper_in_a_folder_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    old(folder / "a", "one")
    hashes = Hashes(tmp_path / "store")
    first = hashes.of(folder, "k")
    (folder / "deep").mkdir()
    old(folder / "deep" / "b", "two")
    os.mkfifo(folder / "pipe")
    (folder / "circle").symlink_to(folder)
    assert hashes.of(folder, "k") == first


@pytest.mark.parametrize("bound", ["_MOST_FILES", "_MOST_BYTES"])
def test_a_folder_of_too_much_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    for name in "abc":
        old(tmp_path / name, "one")
    monkeypatch.setattr(hashing, bound, 2)
    monkeypatch.setattr(hashing, "file_hash", lambda path: pytest.fail("read"))
    with pytest.raises(InputError, match=r"\(masks\.file\) holds more than"):
        Hashes(tmp_path / "store").of(tmp_path, "masks.file")


@pytest.mark.parametrize("text", ["", "[1]", '{"x": 3}', "\x00", '{"PATH": [1, 2]}'])
def test_a_damaged_store_only_costs_time(tmp_path: Path, text: str) -> None:
    file = old(tmp_path / "a", "text")
    (tmp_path / "store").write_text(text.replace("PATH", str(file)))
    assert Hashes(tmp_path / "store").of(file, "k") == hashlib.sha256(b"text").hexdigest()


def test_a_missing_file_is_named_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz \(poses\.file\) cannot be read: No such file"):
        Hashes(tmp_path / "store").of(tmp_path / "none.npz", "poses.file")


def test_data_is_hashed_whatever_its_order() -> None:
    assert data_hash({"a": 1, "b": [2]}) == data_hash({"b": [2], "a": 1}) != data_hash({"a": 1, "b": [3]})
