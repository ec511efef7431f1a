"""Runs of the command line that meet with a fault at a chosen moment.

The moments are the accesses to the workspace, counted: each is one before which a process may be killed or
stopped, or from which on the disk refuses to be written. A forked child is cheap, and its death is real.
"""

import errno
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.__main__ import main

_SIGNALS = {"SIGKILL", "SIGTERM", "SIGINT"}
_REFUSALS = {"ENOSPC": errno.ENOSPC, "EROFS": errno.EROFS, "EIO": errno.EIO}
KINDS = (*sorted(_SIGNALS), *sorted(_REFUSALS))
_EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.scandir", "os.truncate"}
_CHANGING = _EVENTS - {"open", "os.scandir"}
_FREEING = {"os.remove", "os.rmdir", "os.rename", "os.truncate"}  # what a full disk allows


@dataclass(frozen=True)
class Fault:
    """What happens at which access: a signal once, a refusal from then on."""

    kind: str
    moment: int


@dataclass(frozen=True)
class Ended:
    """How a child ended; a negative status is the signal that killed it."""

    status: int
    out: str
    err: str
    accesses: int


class _Saboteur:
    """An audit hook that counts accesses to a folder and brings about a fault."""

    def __init__(self, folder: Path, fault: Fault | None) -> None:
        self._folder, self._fault = str(folder), fault
        self.count = 0
        self._fsync = os.fsync
        os.fsync = self._synced  # type: ignore[assignment]  # the only one that no audit event tells of
        sys.addaudithook(self._told)

    def _told(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS and self._is_in_folder(event, arguments):
            writes = event in _CHANGING or (event == "open" and bool((arguments[2] or 0) & _WRITING))
            self._happen(writes, event in _FREEING)

    def _is_in_folder(self, event: str, arguments: tuple[Any, ...]) -> bool:
        path = arguments[0]
        if isinstance(path, int):
            return False
        name = os.fsdecode(path) if path is not None else ""
        relative = (
            isinstance(arguments[-1], int) and arguments[-1] > 2
        )  # to an open folder, as rmtree does it
        return name.startswith(self._folder) or (relative and not name.startswith("/"))

    def _synced(self, descriptor: int) -> None:
        self._happen(writes=True, frees=False)
        self._fsync(descriptor)

    def _happen(self, writes: bool, frees: bool) -> None:
        self.count += 1
        fault = self._fault
        if fault is None or self.count < fault.moment:
            return
        if fault.kind in _SIGNALS:
            if self.count == fault.moment:
                os.kill(os.getpid(), signal.Signals[fault.kind])
        elif writes and not (frees and fault.kind == "ENOSPC"):
            number = _REFUSALS[fault.kind]
            raise OSError(number, os.strerror(number))


_WRITING = os.O_WRONLY | os.O_RDWR


def call(arguments: list[str], folder: Path, fault: Fault | None = None, largest: int | None = None) -> Ended:
    """Calls the command line in a forked child.

    Args:
        arguments: of the command line.
        folder: the workspace whose accesses count.
        fault: what befalls it, if anything.
        largest: bytes that a file may have, if that is limited.
    """
    ends = [os.pipe() for _ in range(3)]  # no limit on files applies to them; what is said fits into them
    child = os.fork()
    if not child:
        status = 99
        try:
            status = _in_child(arguments, [end for _, end in ends], lambda: _Saboteur(folder, fault), largest)
        finally:
            os._exit(status)
    said = [_read(*end) for end in ends]
    _, state = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(state), said[0], said[1], int(said[2] or 0))


def _read(ours: int, childs: int) -> str:
    os.close(childs)
    with os.fdopen(ours, encoding="utf-8") as stream:
        return stream.read()


def _in_child(
    arguments: list[str], said: list[int], sabotage: Callable[[], _Saboteur], largest: int | None
) -> int:
    out, err, count = said
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    sys.argv = ["hsplat-pipeline", *arguments]
    with os.fdopen(out, "w", buffering=1) as sys.stdout, os.fdopen(err, "w", buffering=1) as sys.stderr:
        saboteur = sabotage()
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
            status = 98
    os.write(count, str(saboteur.count).encode())
    return status
