"""Files of the user's: never half written, never overwritten unasked."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import InputError, StageError
from pipeline.paths import absolute
from pipeline.workspace import stage_around

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def refuse_runs_own(target: Path) -> None:
    """Raises InputError where `target` is or lies in the folder of a workspace's stage, which only a run may
    change."""
    if (folder := stage_around(target)) is not None:
        raise InputError(f"{folder} is the run's own folder.", "Give another place.")


def refuse_existing(target: Path, force: bool, folder_of: str = "") -> None:
    """Raises InputError where `target` must not be written.

    Args:
        target: a file or folder to be.
        force: what is there may be replaced by the same kind of thing.
        folder_of: the suffix of the numbered files (`000000.png` ...) that make the target a folder; a folder
            with anything else in it is somebody else's and stays.
    """
    refuse_runs_own(target)
    if not os.path.lexists(target):
        return
    if not force:
        raise InputError(
            f"{target} exists already.", "Give --force to replace it, or another place with --output."
        )
    if target.is_dir() and target.is_symlink():
        raise InputError(
            f"{target} is a link to a folder.", "Give the folder itself, or another place, with --output."
        )
    if target.is_dir() != bool(folder_of):
        kind = "a folder" if target.is_dir() else "a file"
        raise InputError(f"{target} is {kind}.", "Move it away, or give another place with --output.")
    ours = re.compile(rf"\d{{6,}}{re.escape(folder_of)}")
    if folder_of and not all(ours.fullmatch(entry.name) for entry in target.iterdir()):
        raise InputError(
            f"{target} holds other files than numbered {folder_of} ones.",
            "Move it away, or give another place with --output.",
        )


@contextmanager
def publishing(target: Path, force: bool = False, folder_of: str = "") -> Iterator[Path]:
    """A hidden sibling to write into; it takes the target's name when the block ends well, else it vanishes.

    Args:
        target: its folder is made if missing.
        force, folder_of: as of `refuse_existing`. With `folder_of` the sibling is an empty folder.

    Raises:
        InputError: the target exists, is a run's own, or its folder cannot be written.
        StageError: the disk is full.
    """
    target = absolute(target)
    refuse_existing(target, force, folder_of)
    partial = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove(partial)
        if folder_of:
            partial.mkdir()
        yield partial
        refuse_existing(target, force, folder_of)
        _replace(partial, target)
    except OSError as error:
        if error.errno in _FULL:
            raise StageError(f"No room left on the disk of {target.parent}.", "Make room.") from error
        raise InputError(
            f"{target} cannot be written: {error.strerror or error}.", "Give another place with --output."
        ) from error
    finally:
        _remove(partial)


def _replace(partial: Path, target: Path) -> None:
    if not target.is_dir():
        partial.replace(target)
        return
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.rename(old)
    try:
        partial.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        path.unlink(missing_ok=True)
