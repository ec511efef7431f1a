"""What is shown of a batch: the live table's content, the lines, the summary."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.batch import board as boards
from pipeline.batch.board import Board
from pipeline.batch.clips import Clip
from pipeline.batch.display import Lines, display, headline, picture, summary
from pipeline.batch.events import Failed, Finished, Progressed, Settled, Silence, Started, Waits
from pipeline.batch.failures import Failure
from pipeline.batch.outcomes import Outcome

STAGES = ["frames", "optimize", "export"]
BROKEN = Failure(stage="frames", problem="It is [red]no[/] video.", next_step="Record it again.")


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(boards.time, "monotonic", clock.monotonic)
    return clock


def outcomes() -> list[Outcome]:
    clips = [Clip(f"{name}.mp4", Path(f"{name}.mp4"), Path(f"{name}.hsplat")) for name in "abcd"]
    seconds = {"frames": 2.0, "optimize": 30.0, "export": 8.0}
    return [
        Outcome(clips[0], "done", seconds=seconds),
        Outcome(clips[1], "failed", BROKEN),
        Outcome(clips[2], "open"),
        Outcome(clips[3], "open"),
    ]


def shown(board: Board, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(picture(board))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_and_the_time_left(clock: Clock) -> None:
    board = Board(outcomes(), STAGES)
    board.take(Started(2, "optimize", "Learning", "numba"))
    clock.now += 10
    board.take(Progressed(2, 0.25, "joint"))
    assert board.clip_left(board.rows[2]) == pytest.approx(30 + 8)
    text = shown(board)
    assert "failed: frames: It is [red]no[/] video." in text
    assert "25 %" in text
    assert "38 s" in text
    assert "4 clips: 1 done, 1 failed, 1 at work here" in text
    assert "a.mp4" not in text  # was done before
    board.take(Settled(2))
    assert board.left() == pytest.approx(10)  # one clip took 10 s, one is left
    assert "about 10 s left" in headline(board)


def test_a_stage_without_precedent_tells_no_time() -> None:
    board = Board(outcomes()[2:], STAGES)
    board.take(Started(0, "frames", "Reading", "ffmpeg"))
    assert board.clip_left(board.rows[0]) is None
    assert board.left() is None


def test_the_last_words_of_a_settled_clip_change_nothing() -> None:
    board = Board(outcomes(), STAGES)
    board.take(Settled(2))
    board.take(Finished(2, "export", 1.0, ()))
    board.take(Progressed(2, 1.0, ""))
    assert board.rows == {}


def test_a_silent_scheduler_is_told_until_something_happens() -> None:
    board = Board(outcomes(), STAGES)
    board.take(Silence("nobody answers"))
    assert "nobody answers" in shown(board)
    board.take(Started(2, "frames", "Reading", "ffmpeg"))
    assert "nobody answers" not in shown(board)


def test_lines(clock: Clock) -> None:
    console = Console(file=io.StringIO(), width=60)
    board, lines = Board(outcomes(), STAGES), display(console)
    assert isinstance(lines, Lines)
    lines.begin(board)
    for event in (
        Started(2, "frames", "Reading", "ffmpeg"),
        Finished(2, "frames", 1.5, ("it is dark",)),
        Waits(3, "busy"),
        Waits(3, "busy"),
        Failed(3, BROKEN),
        Settled(3, BROKEN),
        Settled(2),
    ):
        board.take(event)
        lines.take(event)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "b.mp4: failed: frames: It is [red]no[/] video.",
        "4 clips: 1 done, 1 failed",
        "c.mp4: frames: Reading (ffmpeg)",
        "c.mp4: frames: done, 1.5 s",
        "c.mp4: frames: note: it is dark",
        "d.mp4: waits: busy",
        "d.mp4: frames: It is [red]no[/] video.",
        "d.mp4: failed: frames: It is [red]no[/] video. (4 clips: 1 done, 2 failed, 1 at work here, "
        "about 0.0 s left)",
        "c.mp4: done (4 clips: 2 done, 2 failed)",
    ]


def test_the_summary() -> None:
    text = summary(outcomes()[:2], 1, 75.0)
    assert text.splitlines() == [
        "2 clips: 1 done (1 of them before), 1 failed; 75 s",
        "",
        "failed  stage   reason",
        "b.mp4   frames  It is [red]no[/] video. Record it again.",
    ]
