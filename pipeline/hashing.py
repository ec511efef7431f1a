"""Hashes of files by content, remembered from run to run."""

import contextlib
import hashlib
import json
import stat
import time
from pathlib import Path
from typing import Any

from models.errors import InputError
from models.files import open_regular, read_bounded

# A file that changed this recently may change again within the same tick of the file system's clock.
_SETTLED_NS = 2_000_000_000
# More than a folder of pictures ever has: one file for every frame of a video.
_MOST_FILES = 100_000
_MOST_BYTES = 100 * 2**30
_LARGEST = 64 * 2**20  # bytes of what is remembered
_SEAL = "seal"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def data_hash(data: Any) -> str:
    """SHA-256 of JSON-able data, the same whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(data: dict[str, Any]) -> dict[str, Any]:
    """The same JSON-able data with its own hash as `seal`, which shows any later change."""
    return {**data, _SEAL: data_hash(data)}


def unsealed(data: Any) -> dict[str, Any]:
    """What `sealed` was given; raises ValueError where that is not what it was."""
    rest = {name: value for name, value in data.items() if name != _SEAL} if isinstance(data, dict) else {}
    if not rest or data.get(_SEAL) != data_hash(rest):
        raise ValueError("the seal does not fit")
    return rest


def _files(folder: Path, key: str) -> list[Path]:
    """The files directly in a folder, by name; what lies deeper no stage reads."""
    files: list[Path] = []
    total = 0
    for file in folder.iterdir():
        if file.is_file():
            files.append(file)
            total += file.stat().st_size
        if len(files) > _MOST_FILES or total > _MOST_BYTES:
            raise InputError(
                f"{folder} ({key}) holds more than {_MOST_FILES} files or {_MOST_BYTES // 2**30} GiB.",
                "Give a folder that holds nothing but the files meant.",
            )
    return sorted(files)


class Hashes:
    """Content hashes of the user's files and folders, kept in a file and trusted while size and time stand.

    Args:
        store: the JSON file that remembers them; a missing or damaged one only costs time.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._known: dict[str, list[Any]] = {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            self._known = unsealed(json.loads(read_bounded(store, _LARGEST)))

    def of(self, path: Path, key: str) -> str:
        """The hash of a file, or of the files directly in a folder, with their names.

        Args:
            path: a file or a folder of the user's.
            key: the configuration key that names it, for the message.

        Raises:
            InputError: it does not exist, cannot be read, or is a folder of too many or too large files.
        """
        try:
            if path.is_dir():
                return data_hash([[file.name, self._of_file(file)] for file in _files(path, key)])
            if not stat.S_ISREG(path.stat().st_mode):  # a device or a pipe; reading it might never end
                raise InputError(f"{path} ({key}) is neither a file nor a folder.", "Check the path.")
            return self._of_file(path)
        except OSError as error:
            raise InputError(
                f"{path} ({key}) cannot be read: {error.strerror}.", "Check the path."
            ) from error

    def _of_file(self, path: Path) -> str:
        status = path.stat()
        known = self._known.get(str(path))
        if known and known[:2] == [status.st_size, status.st_mtime_ns]:
            return str(known[2])
        content = file_hash(path)
        if time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
            self._known[str(path)] = [status.st_size, status.st_mtime_ns, content]
        return content

    def save(self) -> None:
        """Writes what is known now, for the next run."""
        self._store.write_text(json.dumps(sealed(self._known)), "utf-8")
