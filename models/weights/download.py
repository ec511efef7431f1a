"""Downloads a file over HTTP: goes on where an earlier attempt ended; never half a file in its place.

Our own, since none of the libraries at hand goes on with a broken download (pooch starts anew).
"""

import hashlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import StageError
from models.weights.table import Remote

CHUNK = 2**20  # bytes
TIMEOUT = 30.0  # seconds without a byte
SLACK = 1.25  # a file may be so many times as large as the table says before it is taken for another

Progress = Callable[[int, int, str], None]


def download(remote: Remote, path: Path, progress: Progress, by_hand: str) -> None:
    """Brings a file to `path`; what an interrupted call left in `<path>.part` is gone on with.

    Args:
        remote: which file.
        path: where it goes; in an existing folder.
        progress: told bytes done, bytes in all (0 where the server does not say) and what goes on.
        by_hand: the end of the message where the address cannot be reached: how to do without.

    Raises:
        StageError: the address does not answer, the connection broke off, or the content is another.
        OSError: the disk is full, or the folder cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    _fetch(remote, part, progress, by_hand)
    size = part.stat().st_size
    progress(size, size, "verifying")
    _verify(remote, part)
    part.replace(path)
    _tag_path(part).unlink(missing_ok=True)


def _fetch(remote: Remote, part: Path, progress: Progress, by_hand: str) -> None:
    """Makes the part whole: appends what it lacks, or writes it anew."""
    request = _request(remote, part)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and _is_whole(part, error):
            return
        raise StageError(
            f"{remote.address} answers {error.code} {error.reason}.", f"Try again later, or: {by_hand}"
        ) from error
    except (OSError, http.client.HTTPException) as error:  # sockets and TLS have many words for it
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise StageError(
            f"{remote.address} cannot be reached: {reason}.", f"Check the network, or: {by_hand}"
        ) from error
    with answer:
        _receive(remote, answer, part, progress)


def _receive(remote: Remote, answer: Any, part: Path, progress: Progress) -> None:
    """Writes an answer's content into the part."""
    had = part.stat().st_size if part.exists() else 0
    resumed = answer.headers.get("Content-Range", "").startswith(f"bytes {had}-")
    done = had if resumed and answer.status == http.HTTPStatus.PARTIAL_CONTENT else 0
    rest = _length(remote, answer)
    total = done + rest if rest else 0
    _check_size(remote, total)
    _tag_path(part).write_text(json.dumps({"address": remote.address, "tag": _tag(answer)}), "utf-8")
    broken = answer.status == http.HTTPStatus.PARTIAL_CONTENT and not done
    with part.open("ab" if done else "wb") as stream:
        while not broken:
            try:
                chunk = answer.read(CHUNK)
            except (http.client.HTTPException, OSError):  # what TLS and sockets say of a lost connection
                broken = True
                break
            if not chunk:
                break
            stream.write(chunk)
            done += len(chunk)
            _check_size(remote, done)
            progress(done, total, "")
    if broken or done < total:
        of = f" of {total}" if total else ""
        raise StageError(
            f"The download of {remote.address} broke off after {done}{of} bytes.",
            "The same call goes on from there.",
        )


def _length(remote: Remote, answer: Any) -> int:
    """Bytes to come; 0 where the server does not say."""
    told = answer.headers.get("Content-Length") or "0"
    if not (told.isascii() and told.isdigit()):
        raise StageError(
            f"{remote.address} answers with a Content-Length of {told[:40]!r}, which is no number.",
            "Try again later.",
        )
    return int(told)


def _is_whole(part: Path, error: urllib.error.HTTPError) -> bool:
    """Whether the server has nothing beyond the part; one that is longer than the file is removed."""
    whole = error.headers.get("Content-Range", "") == f"bytes */{part.stat().st_size}"
    if not whole:
        part.unlink()
    return whole


def _request(remote: Remote, part: Path) -> urllib.request.Request:
    """For the file, or for what the part lacks of it."""
    headers = {"User-Agent": "hsplat-pipeline", "Accept-Encoding": "identity"}
    known = _known_tag(remote, part)
    if known and part.stat().st_size:
        # With If-Range a server whose file has changed sends the whole of the new one.
        headers |= {"Range": f"bytes={part.stat().st_size}-", "If-Range": known}
    return urllib.request.Request(remote.address, headers=headers)


def _tag(answer: Any) -> str:
    """What names this very content, for If-Range; weak tags do not."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _tag_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _known_tag(remote: Remote, part: Path) -> str:
    """The tag of the content that the part is of; empty where it cannot be gone on with."""
    try:
        known = json.loads(_tag_path(part).read_text("utf-8"))
        return str(known["tag"]) if part.is_file() and known["address"] == remote.address else ""
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _check_size(remote: Remote, size: int) -> None:
    if size > SLACK * max(remote.size, CHUNK):
        raise StageError(
            f"{remote.address} has {size} bytes or more, expected were {remote.size}: another file.",
            "Please report it.",
        )


def _verify(remote: Remote, part: Path) -> None:
    """Removes what has another hash than the published one, so that the next call starts anew."""
    if not remote.sha256:
        return
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != remote.sha256:
        part.unlink()
        raise StageError(
            f"{remote.address} gave a file with SHA-256 {found}, expected is {remote.sha256}.",
            "It was damaged on the way, or exchanged; fetch it again, and if that repeats, report it.",
        )
