"""Downloads from a server on this machine, good and bad."""

import errno
import http.client
import os
import shutil
import socket
import ssl
from collections import namedtuple
from pathlib import Path

import pytest

from models import weights
from models.errors import HsplatError, InputError, StageError
from models.weights import download, fetch
from tests.server import Site
from tests.weights_site import CONTENT, Publish

Usage = namedtuple("Usage", "free")
PART = Path(".downloads/yolo11n/yolo11n.pt.part")


def quiet(done: int, total: int, note: str) -> None:
    """Nobody looks."""


def failed(key: str = "yolo11n", force: bool = False) -> HsplatError:
    with pytest.raises(HsplatError) as failure:
        fetch(key, quiet, force)
    assert weights.find(key) is None
    return failure.value


def test_a_whole_download(publish: Publish, cache: Path) -> None:
    publish("yolo11n")
    told: list[tuple[int, int, str]] = []
    path = fetch("yolo11n", lambda *progress: told.append(progress))
    assert path.read_bytes() == CONTENT
    assert path == weights.find("yolo11n")
    assert [entry.name for entry in cache.iterdir() if entry.name != ".downloads"] == ["yolo11n"]
    assert not any((cache / ".downloads").iterdir())
    done = [bytes_ for bytes_, _, note in told if not note]
    assert done == sorted(done) and done[-1] == len(CONTENT)
    assert {total for _, total, _ in told} == {len(CONTENT)}
    assert told[-1][2] == "verifying"


def test_what_is_there_is_not_asked_for_again(publish: Publish, site: Site) -> None:
    publish("yolo11n")
    path = fetch("yolo11n", quiet)
    site.asked.clear()
    assert fetch("yolo11n", quiet) == path
    assert site.asked == []
    assert fetch("yolo11n", quiet, force=True) == path
    assert len(site.asked) == 1


def test_several_files_make_a_folder(publish: Publish) -> None:
    publish("depth_anything_v2_small")
    path = fetch("depth_anything_v2_small", quiet)
    assert {f.name for f in path.iterdir()} == {
        "config.json", "model.safetensors", "preprocessor_config.json", "weights.json",
    }  # fmt: skip


def test_a_broken_download_goes_on_where_it_ended(publish: Publish, site: Site, cache: Path) -> None:
    publish("yolo11n")
    site.cut = 1_200_000
    failure = failed()
    assert "broke off after 1200000 of 3000000 bytes" in failure.problem
    assert (failure.exit_status, failure.next_step) == (1, "The same call goes on from there.")
    assert (cache / PART).stat().st_size == 1_200_000
    site.cut = None
    assert fetch("yolo11n", quiet).read_bytes() == CONTENT
    assert site.asked[-1] == ("yolo11n.pt", "bytes=1200000-")


def test_a_download_that_ended_before_its_last_step_is_not_repeated(
    publish: Publish, site: Site, cache: Path
) -> None:
    publish("yolo11n")
    site.cut = 10
    failed()
    (cache / PART).write_bytes(CONTENT)
    site.cut = None
    assert fetch("yolo11n", quiet).read_bytes() == CONTENT
    assert site.asked[-1] == ("yolo11n.pt", f"bytes={len(CONTENT)}-")  # answered by 416


def test_a_part_longer_than_the_file_is_thrown_away(publish: Publish, site: Site, cache: Path) -> None:
    publish("yolo11n")
    site.cut = 10
    failed()
    site.cut = None
    (cache / PART).write_bytes(CONTENT + b"more")
    failed()
    assert fetch("yolo11n", quiet).read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_taken_whole(publish: Publish, site: Site) -> None:
    publish("yolo11n", hashed=False)
    site.cut = 1_000_000
    failed()
    new = bytes(reversed(CONTENT))
    site.files["yolo11n.pt"], site.tag, site.cut = new, '"two"', None
    assert fetch("yolo11n", quiet).read_bytes() == new


def test_a_server_that_ignores_ranges_sends_all_of_it(publish: Publish, site: Site) -> None:
    publish("yolo11n")
    site.cut = 1_000_000
    failed()
    site.ranges, site.cut = False, None
    assert fetch("yolo11n", quiet).read_bytes() == CONTENT


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_content_without_a_name_is_not_gone_on_with(publish: Publish, site: Site, tag: str) -> None:
    publish("yolo11n")
    site.tag, site.cut = tag, 1_000_000
    failed()
    site.cut = None
    assert fetch("yolo11n", quiet).read_bytes() == CONTENT
    assert site.asked[-1] == ("yolo11n.pt", None)


def test_a_server_that_does_not_say_how_much(publish: Publish, site: Site) -> None:
    publish("yolo11n", hashed=False)
    site.chunked, site.cut = True, 1000
    assert "broke off after 0 bytes" in failed().problem or "broke off after 1000 bytes" in failed().problem
    site.cut = None
    assert fetch("yolo11n", quiet).read_bytes() == CONTENT


def test_wrong_content_is_refused_and_not_kept(publish: Publish, site: Site, cache: Path) -> None:
    publish("yolo11n")
    site.files["yolo11n.pt"] = CONTENT[:-1] + b"?"
    failure = failed()
    assert "SHA-256" in failure.problem
    assert failure.exit_status == 1
    assert not (cache / PART).exists()
    site.files["yolo11n.pt"] = CONTENT
    assert fetch("yolo11n", quiet).read_bytes() == CONTENT


def test_without_a_published_hash_the_first_download_is_the_measure(
    publish: Publish, site: Site, cache: Path
) -> None:
    publish("yolo11n", hashed=False)
    path = fetch("yolo11n", quiet)
    path.unlink()
    site.files["yolo11n.pt"], site.tag = bytes(reversed(CONTENT)), '"two"'
    failure = failed()
    assert isinstance(failure, InputError)
    assert "differs from what was there before" in failure.problem
    assert fetch("yolo11n", quiet, force=True).read_bytes() == bytes(reversed(CONTENT))


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_an_address_that_answers_badly(publish: Publish, site: Site, status: int) -> None:
    publish("yolo11n")
    site.status = status
    failure = failed()
    assert f"{site.address}/yolo11n.pt answers {status}" in failure.problem
    assert "weights add FILE --as yolo11n" in failure.next_step
    assert failure.exit_status == 1


def test_no_network(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("yolo11n")

    def unknown(*arguments: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    failure = failed()
    assert "cannot be reached" in failure.problem and "name resolution" in failure.problem
    assert "weights add FILE" in failure.next_step


def test_nobody_answers(publish: Publish, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("yolo11n")

    def refuse(*arguments: object) -> None:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert "Connection refused" in failed().problem


def test_a_server_that_falls_silent(publish: Publish, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("yolo11n")
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        row = weights.TABLE["yolo11n"]
        address = f"http://127.0.0.1:{mute.getsockname()[1]}/yolo11n.pt"
        monkeypatch.setitem(
            weights.TABLE, "yolo11n", type(row)(**{**vars(row), "remotes": (weights.Remote(address, 10),)})
        )
        assert "timed out" in failed().problem


def test_something_much_larger_is_another_file(publish: Publish, site: Site) -> None:
    publish("yolo11n")
    site.files["yolo11n.pt"] = CONTENT * 2
    assert "another file" in failed().problem
    site.chunked = True
    assert "another file" in failed().problem


def test_a_full_disk_is_seen_beforehand(
    publish: Publish, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    publish("yolo11n")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**20))
    failure = failed()
    assert "1 MiB free" in failure.problem
    assert "HSPLAT_WEIGHTS" in failure.next_step
    assert site.asked == []


def test_a_disk_that_fills_up_on_the_way(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("yolo11n")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        failure = failed()
    assert "is full" in failure.problem and failure.exit_status == 1
    assert fetch("yolo11n", quiet).read_bytes() == CONTENT


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_may_not_be_written(publish: Publish, cache: Path) -> None:
    publish("yolo11n")
    cache.mkdir(mode=0o555)
    assert "cannot be written: Permission denied" in failed().problem


def test_a_cache_without_permission(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("yolo11n")

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    failure = failed()
    assert "cannot be written: Permission denied" in failure.problem
    assert "HSPLAT_WEIGHTS" in failure.next_step


def test_a_cache_in_the_place_of_a_file(publish: Publish, cache: Path) -> None:
    publish("yolo11n")
    cache.write_text("")
    failure = failed()
    assert isinstance(failure, StageError)
    assert "cannot be written" in failure.problem


def test_what_needs_a_licence_is_not_downloaded() -> None:
    failure = failed("smpl_neutral")
    assert isinstance(failure, InputError)
    assert "smpl.is.tue.mpg.de" in failure.next_step and "weights add" in failure.next_step


def test_what_tls_refuses_is_told_of_the_network(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    publish("yolo11n")

    def refuse(connection: object) -> None:
        raise ssl.SSLError(1, "tlsv1 alert internal error")

    monkeypatch.setattr(http.client.HTTPConnection, "getresponse", refuse)
    failure = failed()
    assert "yolo11n.pt cannot be reached: " in failure.problem and "tlsv1 alert" in failure.problem
    assert failure.next_step.startswith("Check the network, or: ")


def test_tls_that_fails_underway_breaks_the_download_off(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("yolo11n")

    def refuse(answer: object, count: int) -> None:
        raise ssl.SSLError(1, "bad record mac")

    monkeypatch.setattr(http.client.HTTPResponse, "read", refuse)
    assert "broke off after 0 of 3000000 bytes" in failed().problem


@pytest.mark.parametrize("length", ["many", "-5", "3e6", "\u0663"])
def test_a_length_that_is_none(publish: Publish, site: Site, length: str) -> None:
    publish("yolo11n")
    site.length = length.encode("utf-8").decode("latin-1")
    failure = failed()
    assert "Content-Length" in failure.problem and failure.next_step


def test_a_disk_that_fails_is_not_told_of_the_network(
    publish: Publish, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("yolo11n")

    def refuse(answer: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(download, "_tag", refuse)  # while the part is written
    assert failed().problem == f"The cache {cache} cannot be written: Input/output error."
