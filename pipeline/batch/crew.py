"""The worker processes of a call: started, listened to, replaced when they die, stopped."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import connection
from types import TracebackType
from typing import Any, Self

from luigi.scheduler import Scheduler

from models.errors import StageError
from pipeline.batch import failures, worker
from pipeline.batch.events import Assignment, Broken, Event, Failed, Job, Settled, Started
from pipeline.batch.failures import Failure
from pipeline.batch.scheduling import answer, own_scheduler
from pipeline.lock import Lock
from pipeline.workspace import Workspace

_GRACE = 1.2  # seconds in which a stopped worker may tidy up
_MOST_EARLY_DEATHS = 3  # of workers that have not begun any clip

_spawning = multiprocessing.get_context("spawn")  # CUDA and threads do not survive a fork


@dataclass
class _Member:
    slot: int
    process: Any
    line: connection.Connection
    at: int | None = None  # the clip that it works on


class Crew:
    """Some worker processes with one assignment, as a context.

    Args:
        count: how many.
        assignment: what to do.
    """

    def __init__(self, count: int, assignment: Assignment) -> None:
        self._count = count
        self._given = assignment
        self._jobs = {job.number: job for job in assignment.jobs}
        self._scheduler: Scheduler | None = None
        self._members: list[_Member] = []
        self._deaths: dict[int, int] = {}
        self._early = 0

    def __enter__(self) -> Self:
        if self._given.scheduler is None:
            self._scheduler = own_scheduler(self._given.gpus)
        for slot in range(self._count):
            self._start(slot)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self._members:
            member.process.terminate()
        until = time.monotonic() + _GRACE
        for member in self._members:
            member.process.join(max(0.0, until - time.monotonic()))
        for member in self._members:
            _kill_group(member.process)
            member.process.join()
            member.line.close()
        self._members.clear()

    def listen(self, seconds: float) -> Iterator[Event]:
        """What the workers tell within a time; serves their scheduler meanwhile and replaces the dead.

        Raises:
            StageError: workers cannot work at all, for a reason that no clip has to do with.
        """
        until = time.monotonic() + seconds
        while self._members and (left := until - time.monotonic()) > 0:
            lines = {member.line: member for member in self._members}
            for ready in connection.wait(list(lines), left):
                yield from self._hear(lines[ready])  # type: ignore[index]

    @property
    def at_work(self) -> bool:
        """Whether any worker still has something to do."""
        return bool(self._members)

    def _start(self, slot: int) -> None:
        here, there = _spawning.Pipe()
        process = _spawning.Process(
            target=worker.work, args=(there, slot, self._given), name=f"worker {slot}", daemon=False
        )
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited, until it leads its own group
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        there.close()
        self._members.append(_Member(slot, process, here))

    def _hear(self, member: _Member) -> Iterator[Event]:
        try:
            message = member.line.recv()
            if isinstance(message, tuple):
                if self._scheduler is not None:
                    answer(self._scheduler, member.line, message)
                return
        except (EOFError, OSError):
            yield from self._ended(member)
            return
        if isinstance(message, Broken):
            raise StageError(message.problem, message.next_step)
        if isinstance(message, Started):
            member.at = message.number
        elif isinstance(message, Failed | Settled) and member.at == message.number:
            member.at = None
        yield message

    def _ended(self, member: _Member) -> Iterator[Event]:
        member.process.join()
        _kill_group(member.process)
        member.line.close()
        self._members.remove(member)
        if member.process.exitcode == 0:
            return
        if member.at is None:
            self._early += 1
            if self._early > _MOST_EARLY_DEATHS:
                raise StageError(
                    f"Worker processes end before they begin ({_cause(member)}).",
                    "Try one clip: hsplat-pipeline run VIDEO --debug",
                )
        else:
            yield from self._blame(self._jobs[member.at], _cause(member))
        self._start(member.slot)

    def _blame(self, job: Job, cause: str) -> Iterator[Event]:
        """A clip whose process died is tried once more at least; it may not have been the reason."""
        self._deaths[job.number] = self._deaths.get(job.number, 0) + 1
        error = StageError(
            f"The process that worked on it ended: {cause}.",
            "Where memory is short, take fewer --workers or --preset fast.",
        )
        failure = Failure.of(error, "", self._deaths[job.number])
        if self._deaths[job.number] > max(1, self._given.retries):
            failure = failure.model_copy(update={"attempts": self._given.retries + 1})
            place = Workspace(job.folder)
            with suppress(Exception), Lock(place.folder / "lock"):
                failures.write(place, failure)
            remaining = tuple(other for other in self._given.jobs if other != job)
            self._given = replace(self._given, jobs=remaining)
            yield Settled(job.number, failure)
        else:
            yield Failed(job.number, failure)


def _cause(member: _Member) -> str:
    code = member.process.exitcode or 0
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _kill_group(process: Any) -> None:
    """Ends what a worker started, such as ffmpeg; workers lead groups of their own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
