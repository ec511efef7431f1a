"""Fills the cache: from the network, or from a file that the user has."""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from models.errors import InputError, StageError
from models.weights import archive
from models.weights.cache import File, find, folder, installing, measured, recorded
from models.weights.download import Progress, download
from models.weights.recognise import recognise
from models.weights.table import TABLE, Weights

DOWNLOADS = ".downloads"
CHUNK = 2**24  # bytes


def fetch(key: str, progress: Progress, force: bool = False) -> Path:
    """Downloads the weights of a row of the table into the cache, and says where they are.

    A download that broke off is gone on with. What is there already stays, unless `force` wants it anew.

    Args:
        key: of `TABLE`.
        progress: told bytes done, bytes in all (0 where unknown) and what goes on.

    Raises:
        InputError: they are to be had by hand only.
        StageError: no network, the wrong content, a full disk or no permission to write.
    """
    row = TABLE[key]
    path = find(key)
    if path is not None and not force:
        return path
    if not row.remotes:
        raise InputError(
            f"{row.model} cannot be downloaded without its licence.",
            f"Register at {row.page}, download it, then: hsplat-pipeline weights add FILE",
        )
    with _writable():
        place = folder() / DOWNLOADS / key
        place.mkdir(parents=True, exist_ok=True)
        _check_room(row, place)
        for remote in row.remotes:
            if not (place / remote.name).exists():
                what = "FILE" if len(row.files) == 1 else "FOLDER"
                by_hand = f"download it elsewhere, then: hsplat-pipeline weights add {what} --as {key}"
                download(remote, place / remote.name, progress, by_hand)
        with installing(row, row.remotes[0].address) as home:
            _unpack(row, place, home, progress)
            _check_pinned(row, home, force)
        shutil.rmtree(place)
    path = find(key)
    assert path is not None
    return path


def add(source: Path, progress: Progress, key: str | None = None, force: bool = False) -> Weights:
    """Copies a file or folder of the user's into the cache, as the weights that it is.

    Args:
        source: the file as published, an archive that holds it, or the folder where the weights are several.
        key: what it is, where its content does not tell.
        force: take it although it differs from what was there before.

    Returns:
        What it was recognised as.

    Raises:
        InputError: it is none of the table's weights, or not what `key` says; says where to get that.
        StageError: a full disk or no permission to write.
    """
    row = recognise(source, key)
    with _writable():
        folder().mkdir(parents=True, exist_ok=True)
        with installing(row, str(source)) as home:
            if row.archive and archive.is_archive(source):
                archive.take(source, row.files, home, progress)
            else:
                for name in row.files:
                    _copy(source / name if source.is_dir() else source, home / name, progress)
            _check_pinned(row, home, force)
    return row


def _unpack(row: Weights, place: Path, home: Path, progress: Progress) -> None:
    """Brings a row's files from where they were downloaded; an archive that lacks them is not kept."""
    if not row.archive:
        for name in row.files:
            (place / name).rename(home / name)
        return
    try:
        archive.take(place / row.remotes[0].name, row.files, home, progress)
    except InputError:
        shutil.rmtree(place)
        raise


def _check_pinned(row: Weights, home: Path, force: bool) -> None:
    """Where no hash is published, the first file seen is the measure of later ones."""
    before: Mapping[str, File] = recorded(row) or {}
    changed = [name for name, file in before.items() if measured(home / name).sha256 != file.sha256]
    if changed and not force:
        raise InputError(
            f"{', '.join(changed)} of {row.model} differs from what was there before.",
            "If that is meant, say so with --force.",
        )


def _check_room(row: Weights, place: Path) -> None:
    had = sum(file.stat().st_size for file in place.iterdir())
    needed = row.size * (2 if row.archive else 1) - had
    free = shutil.disk_usage(place).free
    if free < needed:
        raise StageError(
            f"The disk of {folder()} has {free >> 20} MiB free; {row.model} needs {needed >> 20} MiB.",
            "Free some space, or set HSPLAT_WEIGHTS to a folder on another disk.",
        )


@contextmanager
def _writable() -> Iterator[None]:
    """What the disk refuses becomes a message."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StageError(
                f"The disk of {folder()} is full.",
                "Free some space, or set HSPLAT_WEIGHTS to a folder on another disk; the same call goes on.",
            ) from error
        raise StageError(
            f"The cache {folder()} cannot be written: {error.strerror or error}.",
            "Make it writable, or set HSPLAT_WEIGHTS to a folder that you may write.",
        ) from error


def _copy(source: Path, target: Path, progress: Progress) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    total, done = source.stat().st_size, 0
    with source.open("rb") as content, target.open("wb") as stream:
        while chunk := content.read(CHUNK):
            stream.write(chunk)
            done += len(chunk)
            progress(done, total, "copying")
        os.fsync(stream.fileno())
