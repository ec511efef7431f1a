"""Hashes of files by content, remembered from run to run."""

import hashlib
import json
import stat
import time
from pathlib import Path
from typing import Any

from models.errors import InputError

# A file that changed this recently may change again within the same tick of the file system's clock.
_SETTLED_NS = 2_000_000_000


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def data_hash(data: Any) -> str:
    """SHA-256 of JSON-able data, the same whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Hashes:
    """Content hashes of the user's files and folders, kept in a file and trusted while size and time stand.

    Args:
        store: the JSON file that remembers them; a missing or damaged one only costs time.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._known: dict[str, list[Any]] = {}
        try:
            known = json.loads(store.read_text("utf-8"))
            self._known = known if isinstance(known, dict) else {}
        except (OSError, ValueError):
            pass

    def of(self, path: Path, key: str) -> str:
        """The hash of a file, or of a folder's files with their names.

        Args:
            path: a file or a folder of the user's.
            key: the configuration key that names it, for the message.

        Raises:
            InputError: it does not exist or cannot be read.
        """
        try:
            if path.is_dir():
                files = sorted(file for file in path.rglob("*") if file.is_file())
                return data_hash([[file.relative_to(path).as_posix(), self._of_file(file)] for file in files])
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
        if isinstance(known, list) and known[:2] == [status.st_size, status.st_mtime_ns]:
            return str(known[2])
        content = file_hash(path)
        if time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
            self._known[str(path)] = [status.st_size, status.st_mtime_ns, content]
        return content

    def save(self) -> None:
        """Writes what is known now, for the next run."""
        self._store.write_text(json.dumps(self._known), "utf-8")
