"""One run at a time in a workspace."""

import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from models.errors import InputError
from models.files import open_regular, read_bounded

_ATTEMPTS = 5  # `holder` takes a shared lock for an instant; that must not refuse a run
_PAUSE = 0.05
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_LARGEST = 2**16  # bytes of a lock's text
_BEGINNING = b'{"pid": '
_ADVICE = "Wait until it has ended, or stop it, or give another --workspace."


class InUse(InputError):
    """Another process is at work in the folder."""


class Lock:
    """The advisory lock of a folder such as a workspace, held from entering to leaving.

    The operating system drops it with the process that holds it, however that ends, so a lock left by a dead
    process is simply taken over. The file's text says who holds it; it is never deleted.

    Args:
        path: the lock's file, in the folder.
        advice: what to do where another process holds it.

    Raises:
        InUse: on entering, when another process holds it.
        InputError: on entering, when the file system has no locks.
        OSError: on entering, when the file cannot be written.
    """

    def __init__(self, path: Path, advice: str = _ADVICE) -> None:
        self._path = path
        self._advice = advice
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not self._attempt():
                raise InUse(
                    f"{self._path.parent} is in use by {_describe(_read(self._path))}.",
                    self._advice,
                )
            me = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started": time.strftime("%Y-%m-%d %H:%M:%S"),
            }
            text = json.dumps(me).encode()
            os.pwrite(self._descriptor, text, 0)  # before the cut, so that a full disk never empties it
            os.ftruncate(self._descriptor, len(text))
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def _attempt(self) -> bool:
        for _ in range(_ATTEMPTS):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                time.sleep(_PAUSE)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                raise InputError(
                    f"The file system of {self._path.parent} has no locks: {error.strerror}.",
                    "Use one that has, such as a local disk or NFS 4.",
                ) from error
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds a lock now: `pid`, `host` and `started`; None where nobody does."""
    try:
        with open_regular(path) as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path)
    except OSError:  # none there, or a file system without locks, where no run gets its own
        pass
    return None


def was_held(path: Path) -> bool:
    """Whether a file is a lock of this module's: it still says who held it last."""
    return path.is_file() and {"pid", "host", "started"} <= _read(path).keys()


def was_begun(path: Path) -> bool:
    """Whether a file is what a full disk let this module write of a lock, if anything."""
    with open_regular(path) as stream:
        text = stream.read(len(_BEGINNING))
    return _BEGINNING.startswith(text)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = json.loads(read_bounded(path, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return text if isinstance(text, dict) else {}


def _describe(who: dict[str, Any]) -> str:
    if not who:
        return "another run"
    return f"process {who.get('pid')} on {who.get('host')}, started {who.get('started')}"
