"""What is known of a batch while it runs, for whoever shows it."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.batch.events import Event, Failed, Finished, Progressed, Settled, Silence, Started
from pipeline.batch.outcomes import Outcome

_TELLING = 0.05  # share of a stage before which its speed says nothing about the rest


@dataclass
class Row:
    """A clip at work here, or waiting."""

    number: int
    name: str
    stage: str
    doing: str
    began: float
    share: float = 0.0


class Board:
    """Takes the workers' events.

    Args:
        outcomes: every clip of the batch, by number.
        stages: the names of the stages wanted, in order.
    """

    def __init__(self, outcomes: Sequence[Outcome], stages: Sequence[str]) -> None:
        self.names = [outcome.clip.name for outcome in outcomes]
        self.results = {n: each.result for n, each in enumerate(outcomes) if each.result != "open"}
        self.failures = {n: each.failure for n, each in enumerate(outcomes) if each.result == "failed"}
        self.news = list(self.failures)  # the clips whose results this call has found, the latest last
        self.rows: dict[int, Row] = {}
        self.notice = ""
        self._stages = list(stages)
        self._began = time.monotonic()
        self._at_first = len(self.results)
        self._spent: dict[str, list[float]] = defaultdict(list)
        for outcome in outcomes:
            for stage, seconds in outcome.seconds.items():
                self._spent[stage].append(seconds)

    def take(self, event: Event) -> None:
        """Notes an event."""
        self.notice = event.reason if isinstance(event, Silence) else ""
        match event:
            case Started(number, stage, title, engine):
                self.rows[number] = Row(
                    number, self.names[number], stage, f"{title} ({engine})", time.monotonic()
                )
            case Progressed(number, share, note) if number in self.rows:
                self.rows[number].share = share
                if note:
                    self.rows[number].doing = note
            case Finished(number, stage, seconds):
                self._spent[stage].append(seconds)
                if number in self.rows:
                    self.rows[number].share = 1.0
            case Failed(number):
                self.rows.pop(number, None)
            case Settled(number, failure):
                self.rows.pop(number, None)
                self.results[number] = "failed" if failure else "done"
                self.news.append(number)
                if failure:
                    self.failures[number] = failure

    def count(self, result: str) -> int:
        """How many clips are "done" or "failed"."""
        return sum(value == result for value in self.results.values())

    def clip_left(self, row: Row) -> float | None:
        """Seconds that a clip will probably take yet; None where nothing tells."""
        left = self._stage_left(row)
        later = self._stages[self._stages.index(row.stage) + 1 :]
        if left is None or any(not self._spent[stage] for stage in later):
            return None
        return left + sum(map(_mean, (self._spent[stage] for stage in later)))

    def _stage_left(self, row: Row) -> float | None:
        gone = time.monotonic() - row.began
        if row.share >= _TELLING:
            return gone * (1.0 - row.share) / row.share
        return max(0.0, _mean(self._spent[row.stage]) - gone) if self._spent[row.stage] else None

    def left(self) -> float | None:
        """Seconds that the whole batch will probably take yet, at the speed so far."""
        new = len(self.results) - self._at_first
        waiting = len(self.names) - len(self.results)
        return (time.monotonic() - self._began) * waiting / new if new and waiting else None


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)
