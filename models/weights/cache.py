"""Where weights lie on this machine, and whether they are what was put there.

`<cache>/<key>/` holds a row's files and `weights.json`, which is written last and lists them with their
hashes. The cache is `$HSPLAT_WEIGHTS`, else `hsplat-pipeline/weights` in the user's cache folder.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.errors import InputError
from models.weights.table import TABLE, Weights

RECORD = "weights.json"


@dataclass(frozen=True)
class File:
    """A file as it was when it was put into the cache."""

    size: int
    mtime_ns: int
    sha256: str


def folder() -> Path:
    """The cache; it may not exist."""
    if own := os.environ.get("HSPLAT_WEIGHTS"):
        return Path(own).expanduser().absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "hsplat-pipeline" / "weights"


def find(key: str) -> Path | None:
    """Where the weights of a row of the table are: the file, or the folder where they are several.

    Looks at names and sizes only; nothing is downloaded or hashed.

    Args:
        key: of `TABLE`, such as "hmr2".

    Returns:
        None where they are not on this machine, or not whole.

    Raises:
        KeyError: the table has no such row.
    """
    row = TABLE[key]
    files = recorded(row)
    home = folder() / row.key
    if files is None or any(_size(home / name) != file.size for name, file in files.items()):
        return None
    return home / row.files[0] if len(row.files) == 1 else home


def require(key: str) -> Path:
    """The same, for those who cannot go on without.

    Raises:
        InputError: they are not there; says how to get them.
    """
    path = find(key)
    if path is None:
        raise InputError(f"The weights of {TABLE[key].model} are not on this machine.", how_to_get(key))
    return path


def how_to_get(key: str) -> str:
    """The command that brings a row's weights, for the end of a message."""
    row = TABLE[key]
    if row.remotes:
        return f"Get them with: {command(key)}"
    return f"Download {row.files[0]} from {row.page}, then: {command(key)}"


def command(key: str) -> str:
    """The command that puts a row's weights into the cache."""
    return (
        f"hsplat-pipeline weights fetch {key}" if TABLE[key].remotes else "hsplat-pipeline weights add FILE"
    )


def content_hash(key: str) -> str:
    """What distinguishes these weights from others of their row: a hash over all their files' contents.

    It comes from the record; a file that was touched since is hashed again.

    Raises:
        InputError: they are not there, cannot be read, or are not what was put there.
    """
    require(key)
    row = TABLE[key]
    files = dict(recorded(row) or {})
    home = folder() / key
    try:
        touched = [n for n, file in files.items() if (home / n).stat().st_mtime_ns != file.mtime_ns]
        for name in touched:
            now = measured(home / name)
            if now.sha256 != files[name].sha256:
                raise InputError(f"{home / name} is not what was put there.", f"{how_to_get(key)} --force")
            files[name] = now
    except OSError as error:
        raise InputError(
            f"The weights {home} cannot be read: {error.strerror}.", "Make them readable."
        ) from error
    if touched:
        with suppress(OSError):  # only spares the hashing next time
            _write_record(home, files)
    text = "\n".join(f"{name} {files[name].sha256}" for name in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()


def measured(path: Path) -> File:
    """A file's size, time and hash.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        status = os.fstat(stream.fileno())
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return File(status.st_size, status.st_mtime_ns, digest)


@contextmanager
def installing(row: Weights, source: str) -> Iterator[Path]:
    """An empty folder to put a row's files into; it becomes the row's place in the cache at the end.

    Args:
        source: the address or path that they come from, for the record.

    Raises:
        OSError: the disk is full, or the cache cannot be written.
    """
    home = folder() / row.key
    partial = home.with_name(f".{row.key}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        _write_record(partial, {name: measured(partial / name) for name in row.files}, source)
        shutil.rmtree(home, ignore_errors=True)
        partial.rename(home)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_record(home: Path, files: Mapping[str, File], source: str | None = None) -> None:
    record = _json(home / RECORD)
    if source is not None:
        record = {"source": source, "added": datetime.now(UTC).isoformat(timespec="seconds")}
    record["files"] = {name: asdict(file) for name, file in files.items()}
    partial = home / f".{RECORD}.partial"
    partial.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    partial.replace(home / RECORD)


def recorded(row: Weights) -> dict[str, File] | None:
    """The files of a row as they were put into the cache; None where there is no whole record."""
    files = _json(folder() / row.key / RECORD).get("files")
    try:
        return {name: File(**files[name]) for name in row.files} if isinstance(files, dict) else None
    except (KeyError, TypeError):
        return None


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
