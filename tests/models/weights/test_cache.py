"""Weights on this machine: found, not found, touched, changed."""

import json
import os
from pathlib import Path

import pytest

from models import weights
from models.errors import InputError
from models.weights import TABLE
from models.weights.cache import RECORD, installing
from tests.made_up_weights import install


def test_nothing_is_found_on_a_new_machine(cache: Path) -> None:
    assert [key for key in TABLE if weights.find(key)] == []
    assert not cache.exists()


@pytest.mark.parametrize("key", TABLE)
def test_what_is_installed_is_found(key: str, cache: Path) -> None:
    install(key)
    path = weights.find(key)
    assert path is not None
    assert path.is_relative_to(cache / key)
    assert path.is_dir() if len(TABLE[key].files) > 1 else path.read_bytes() == b"numbers"
    assert weights.require(key) == path
    assert json.loads((cache / key / RECORD).read_text("utf-8"))["source"] == "test"


def test_an_unknown_key_is_a_mistake_of_the_program() -> None:
    with pytest.raises(KeyError):
        weights.find("yolo12n")


@pytest.mark.parametrize(
    ("key", "words"), [("hmr2", "weights fetch hmr2"), ("smpl_male", "smpl.is.tue.mpg.de")]
)
def test_what_is_required_says_how_to_get_it(key: str, words: str) -> None:
    with pytest.raises(InputError, match=TABLE[key].model) as refused:
        weights.require(key)
    assert words in refused.value.next_step


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HSPLAT_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert weights.folder() == Path("/somewhere/hsplat-pipeline/weights")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert weights.folder() == Path("/home/somebody/.cache/hsplat-pipeline/weights")


def test_what_is_cut_off_lost_or_unrecorded_is_not_there(cache: Path) -> None:
    install("depth_anything_v2_small")
    home = cache / "depth_anything_v2_small"
    (home / "config.json").write_bytes(b"num")
    assert weights.find("depth_anything_v2_small") is None
    (home / "config.json").unlink()
    assert weights.find("depth_anything_v2_small") is None
    install("sam_vit_b")
    for text in ("", "[]", '{"files": 3}', '{"files": {"sam_vit_b_01ec64.pth": {"size": 7}}}'):
        (cache / "sam_vit_b" / "weights.json").write_text(text)
        assert weights.find("sam_vit_b") is None


def test_the_hash_tells_contents_apart_and_not_places(cache: Path) -> None:
    install("yolo11n")
    first = weights.content_hash("yolo11n")
    install("yolo11m")
    install("yolo11n", b"others!")
    assert weights.content_hash("yolo11n") != first
    install("yolo11n")
    assert weights.content_hash("yolo11n") == first


def test_hashing_is_for_touched_files_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("yolo11n")
    first = weights.content_hash("yolo11n")
    os.utime(cache / "yolo11n" / "yolo11n.pt", ns=(1, 1))
    assert weights.content_hash("yolo11n") == first
    monkeypatch.setattr("models.weights.cache.measured", lambda path: pytest.fail("hashed again"))
    assert weights.content_hash("yolo11n") == first


def test_a_file_that_was_exchanged_is_noticed(cache: Path) -> None:
    install("yolo11n")
    path = cache / "yolo11n" / "yolo11n.pt"
    path.write_bytes(b"tampers")
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match="not what was put there") as refused:
        weights.content_hash("yolo11n")
    assert "fetch yolo11n --force" in refused.value.next_step


def test_a_failed_installation_leaves_the_one_before(cache: Path) -> None:
    install("yolo11n")
    with pytest.raises(OSError), installing(TABLE["yolo11n"], "again") as home:
        (home / "half").write_bytes(b"")
        raise OSError(28, "No space left on device")
    assert weights.find("yolo11n") is not None
    assert sorted(entry.name for entry in cache.iterdir()) == ["yolo11n"]


def test_the_table_is_sound() -> None:
    for key, row in TABLE.items():
        assert key == row.key
        assert row.licence and row.purpose and row.page.startswith("https://")
        assert all(remote.address.startswith("https://") for remote in row.remotes)
        assert all(len(remote.sha256) in (0, 64) for remote in row.remotes)
        assert row.archive or not row.remotes or {r.name for r in row.remotes} == set(row.files)
