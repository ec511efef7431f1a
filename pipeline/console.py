"""What a person sees: progress bars on a terminal, plain lines elsewhere, the tables at the end."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pipeline.chain import State, Step
from pipeline.workspace import Manifest

QUIET_SECONDS = 30.0  # between two plain lines about the same stage
_WIDE = 200  # characters; no table is wider
_TELLING = 0.05  # share of the work before which its speed says nothing about the rest
# What a terminal acts on, or turns the order of the text around, and halves of characters that no text has.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def say(text: str, console: Console | None = None) -> None:
    """Prints lines as they are: no markup, no colours guessed, no wrapping; see `escaped`."""
    lines = "\n".join(map(escaped, text.split("\n")))
    (console or Console()).print(lines, markup=False, highlight=False, soft_wrap=True)


def escaped(text: str) -> str:
    """A text as one line that is safe to print, its control characters written as in JSON.

    Names of files may hold any: sequences that repaint the terminal, ends of lines, bytes that are no text.
    """
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def show(tables: RenderableType) -> None:
    """Prints tables; where nobody's screen limits them, as wide as they are."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    console.print(tables, highlight=False)


def reporter(console: Console) -> "Bars | Lines":
    """The reporter that suits a console."""
    return Bars(console) if console.is_terminal else Lines(console)


class Bars:
    """A bar for every stage, with the time left."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.fields[stage]:<9}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
        )
        self._console = console
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._bars.tasks:
            if not task.finished:
                self._bars.stop_task(task.id)
        self._bars.stop()

    def planned(self, states: list[State]) -> None:
        for text in _notices(states):
            say(text, self._console)
        for each in states:
            name = each.step.stage.name
            self._tasks[name] = self._bars.add_task(
                "up to date", total=1, completed=int(each.done), start=False, visible=each.done, stage=name
            )

    def started(self, step: Step) -> None:
        task = self._tasks[step.stage.name]
        self._bars.start_task(task)
        self._bars.update(task, total=None, visible=True, description=f"{step.stage.title} ({step.engine})")

    def progress(self, step: Step, done: int, total: int, note: str = "") -> None:
        description = f"{step.stage.title}: {note}" if note else f"{step.stage.title} ({step.engine})"
        self._bars.update(self._tasks[step.stage.name], completed=done, total=total, description=description)

    def finished(self, step: Step, manifest: Manifest) -> None:
        self._bars.update(self._tasks[step.stage.name], completed=1, total=1, description=_outcome(manifest))
        for text in _warnings(manifest):
            say(text, self._console)


class Lines:
    """A line when a stage begins and ends, and now and then one between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = self._told = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left open."""

    def planned(self, states: list[State]) -> None:
        for text in _notices(states):
            say(text, self._console)
        if done := [each.step.stage.name for each in states if each.done]:
            say(f"up to date: {', '.join(done)}", self._console)

    def started(self, step: Step) -> None:
        self._began = self._told = time.monotonic()
        say(f"{step.stage.name}: {step.stage.title} ({step.engine})", self._console)

    def progress(self, step: Step, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if now - self._told < QUIET_SECONDS or not 0 < done < total:
            return
        self._told = now
        left = duration((now - self._began) * (total - done) / done)
        guess = f", about {left} left" if done >= _TELLING * total else ""
        say(f"{step.stage.name}: {100 * done // total} %{guess}", self._console)

    def finished(self, step: Step, manifest: Manifest) -> None:
        say(f"{step.stage.name}: done, {_outcome(manifest)}", self._console)
        for text in _warnings(manifest):
            say(text, self._console)


@contextmanager
def steps(title: str, console: Console) -> Iterator[Callable[..., None]]:
    """A bar for work without stages, on a terminal; told done, total and a note, as stages tell theirs."""
    if not console.is_terminal:
        yield lambda done, total, note="": None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task(title, total=None)

        def told(done: int, total: int, note: str = "") -> None:
            bars.update(bar, completed=done, total=total, description=f"{title}: {note}" if note else title)

        yield told


def _notices(states: list[State]) -> Iterable[str]:
    """Why stages that were done before are done again."""
    return (f"{each.step.stage.name} is done anew: {each.reason}" for each in states if each.reason)


def _warnings(manifest: Manifest) -> Iterable[str]:
    """What the stage wants known besides its files."""
    return (f"{manifest.stage}: note: {text}" for text in manifest.summary.get("warnings", ()))


def _outcome(manifest: Manifest) -> str:
    gpu = f", {size(manifest.peak_gpu_memory)} of the GPU's" if manifest.peak_gpu_memory else ""
    return f"{duration(manifest.seconds)}, {size(manifest.peak_memory)} of memory{gpu}"


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def size(count: int) -> str:
    """Bytes in the unit that reads best."""
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as aligned columns; the last column runs free."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)] if rows else []
    lines = ("  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows)
    return "\n".join(lines)


def outputs(folder: Path, manifest: Manifest) -> str:
    """Where a published stage's files are, and what each is for as its summary's `files` says."""
    meanings: dict[str, Any] = manifest.summary.get("files", {})
    if not meanings:
        return str(shown(folder))
    return table([(str(shown(folder / name)), str(meaning)) for name, meaning in meanings.items()])


def shown(path: Path) -> Path:
    """A path as short as it can be: relative where it lies below the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
