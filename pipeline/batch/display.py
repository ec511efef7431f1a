"""A batch on the screen: a live table on a terminal, plain lines elsewhere; and the summary at the end."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.batch.board import Board
from pipeline.batch.events import Event, Failed, Finished, Progressed, Settled, Silence, Started, Waits
from pipeline.batch.outcomes import Outcome
from pipeline.console import QUIET_SECONDS, duration, escaped, say, table

_REFRESH = 0.25  # seconds
_LATEST = 5  # results that stay in the live table


class Display(Protocol):
    """Shows a batch as it goes, as a context."""

    def __enter__(self) -> "Display": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def begin(self, board: Board) -> None: ...
    def take(self, event: Event) -> None: ...
    def refresh(self) -> None: ...


def display(console: Console) -> Display:
    """The display that suits a console."""
    return LiveTable(console) if console.is_terminal else Lines(console)


class LiveTable:
    """A row for every clip at work, above the latest results."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="ellipsis")
        self._board: Board | None = None
        self._shown = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shown = 0.0
        self.refresh()
        self._live.stop()

    def begin(self, board: Board) -> None:
        """What `refresh` shows from now on."""
        self._board = board

    def take(self, event: Event) -> None:
        """The table shows what the board has; a stage's warnings stand above it."""
        if isinstance(event, Finished) and self._board:
            for text in event.warnings:
                say(f"{self._board.names[event.number]}: {event.stage}: note: {text}", self._live.console)

    def refresh(self) -> None:
        """Draws the table anew, if that is due."""
        now = time.monotonic()
        if self._board is not None and now - self._shown >= _REFRESH:
            self._shown = now
            self._live.update(picture(self._board), refresh=True)


def picture(board: Board) -> Group:
    """The live table."""
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("clip", "stage", "", "progress", "time left", "result"):
        rows.add_column(title, header_style="dim", no_wrap=True, ratio=None)
    for number in board.news[-_LATEST:]:
        if number in board.failures:
            rows.add_row(Text(board.names[number]), *[""] * 4, Text(_reason(board, number), "red"))
        else:
            rows.add_row(Text(board.names[number]), *[""] * 4, Text("done", "green"))
    for row in board.rows.values():
        left = board.clip_left(row)
        rows.add_row(
            Text(row.name),
            Text(row.stage),
            ProgressBar(total=1.0, completed=row.share, width=16),
            f"{100 * row.share:.0f} %",
            "" if left is None else duration(left),
            Text(escaped(row.doing), "dim"),
        )
    return Group(rows, Text(headline(board), "bold"), *([Text(board.notice, "yellow")] * bool(board.notice)))


def counted(clips: int) -> str:
    """A number of clips in words."""
    return f"{clips} clip{'' if clips == 1 else 's'}"


def headline(board: Board) -> str:
    """The batch in one line."""
    left = board.left()
    parts = [
        f"{counted(len(board.names))}: {board.count('done')} done",
        *([f"{failed} failed"] if (failed := board.count("failed")) else []),
        *([f"{len(board.rows)} at work here"] if board.rows else []),
        *([f"about {duration(left)} left"] if left is not None else []),
    ]
    return ", ".join(parts)


def _reason(board: Board, number: int) -> str:
    failure = board.failures[number]
    if failure is None:
        return "failed"
    return f"failed: {failure.stage}{': ' if failure.stage else ''}{escaped(failure.problem)}"


class Lines:
    """A line for every stage and result, and now and then one between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._board: Board | None = None
        self._told: dict[int, float] = {}
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left open."""

    def begin(self, board: Board) -> None:
        """Says what there is to do."""
        self._board = board
        for number in board.news:
            self._say(f"{board.names[number]}: {_reason(board, number)}")
        self._say(headline(board))

    def refresh(self) -> None:
        """Lines stay as they are."""

    def take(self, event: Event) -> None:
        """Says an event worth a line."""
        if self._board is None:
            return
        if isinstance(event, Silence):
            self._say(event.reason)
            return
        number = getattr(event, "number", 0)
        name = self._board.names[number]
        match event:
            case Started(_, stage, title, engine):
                self._told[number] = time.monotonic()
                self._say(f"{name}: {stage}: {title} ({engine})")
            case Progressed(_, share):
                self._progress(number, share)
            case Finished(_, stage, seconds, warnings):
                self._say(f"{name}: {stage}: done, {duration(seconds)}")
                for text in warnings:
                    self._say(f"{name}: {stage}: note: {text}")
            case Waits(_, reason):
                self._say(f"{name}: waits: {reason}")
            case Failed(_, failure):
                self._say(f"{name}: {failure.stage or 'failed'}: {failure.problem}")
            case Settled():
                word = _reason(self._board, number) if number in self._board.failures else "done"
                self._say(f"{name}: {word} ({headline(self._board)})")

    def _progress(self, number: int, share: float) -> None:
        row = self._board.rows.get(number) if self._board else None
        now = time.monotonic()
        if row is None or self._board is None or now - self._told.get(number, now) < QUIET_SECONDS:
            return
        self._told[number] = now
        left = self._board.clip_left(row)
        guess = f", about {duration(left)} left" if left is not None else ""
        self._say(f"{row.name}: {row.stage}: {100 * share:.0f} %{guess}")

    def _say(self, text: str) -> None:
        """A line, unless it was the last one: a waiting clip says so again and again."""
        if text != self._last:
            say(escaped(text), self._console)
        self._last = text


def summary(outcomes: Sequence[Outcome], before: int, seconds: float) -> str:
    """The end of a batch in words: how many, and the failed ones with their reasons.

    Args:
        outcomes: every clip.
        before: how many were done before.
        seconds: that the call took.
    """
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    done = sum(outcome.result == "done" for outcome in outcomes)
    earlier = f" ({before} of them before)" if before else ""
    lines = [f"{counted(len(outcomes))}: {done} done{earlier}, {len(failed)} failed; {duration(seconds)}"]
    rows = [
        (outcome.clip.name, failure.stage or "-", escaped(f"{failure.problem} {failure.next_step}".strip()))
        for outcome in failed
        if (failure := outcome.failure)
    ]
    if rows:
        lines += ["", table([("failed", "stage", "reason"), *rows])]
    return "\n".join(lines)
