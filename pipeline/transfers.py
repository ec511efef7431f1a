"""What a person sees of a download: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from models.weights.download import Progress as Told
from pipeline.console import QUIET_SECONDS, say, size


@contextmanager
def transfer(console: Console, name: str) -> Iterator[Told]:
    """The progress of one file's transfer, shown as suits the console."""
    if console.is_terminal:
        with _bar(console, name) as told:
            yield told
    else:
        yield _lines(console, name)


@contextmanager
def _bar(console: Console, name: str) -> Iterator[Told]:
    with Progress(
        TextColumn("{task.fields[name]}"),
        BarColumn(bar_width=24),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=console,
    ) as bars:
        task = bars.add_task("", total=None, name=name)

        def told(done: int, total: int, note: str) -> None:
            bars.update(task, completed=done, total=total or None, description=note)

        yield told


def _lines(console: Console, name: str) -> Told:
    last = time.monotonic()

    def told(done: int, total: int, note: str) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= QUIET_SECONDS:
            last = now
            of = f" of {size(total)}" if total else ""
            say(f"{name}: {note or 'downloading'}, {size(done)}{of}", console)

    return told
