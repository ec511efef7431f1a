"""A worker process: takes stages from the scheduler, one at a time, until every clip is settled."""

import logging
import os
import signal
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import Any

from luigi.worker import Worker

from models.errors import HsplatError, StageError
from pipeline.batch import failures
from pipeline.batch.events import (
    Assignment,
    Broken,
    Failed,
    Finished,
    Job,
    Progressed,
    Settled,
    Silence,
    Started,
    Waits,
)
from pipeline.batch.failures import Failure
from pipeline.batch.gpus import taking_gpu
from pipeline.batch.scheduling import UNREACHABLE, Line, Noticeboard, ParentsScheduler, remote_scheduler
from pipeline.chain import State, Step, execute, plan, state
from pipeline.lock import InUse
from pipeline.logs import log_circumstances, logging_to
from pipeline.run import unforeseen
from pipeline.stopping import stoppable
from pipeline.tasks import StageTask, performed_by
from pipeline.workspace import Manifest, Workspace

log = logging.getLogger(__name__)

_PAUSES = (0.5, 1.0, 2.0, 5.0)  # seconds between looks at what others are doing
_TELLING = 0.2  # seconds between two reports of progress
_PING = 10.0  # seconds between signs of life to the scheduler
_PATIENCE = 600.0  # seconds without a scheduler


def work(end: connection.Connection, slot: int, assignment: Assignment) -> None:
    """The process: ends by itself when all is settled, on SIGTERM, and with its parent."""
    with suppress(OSError):
        os.setpgid(0, 0)  # Ctrl-C reaches the parent alone, and a killed worker takes its ffmpeg with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", str(assignment.threads))
    logging.getLogger().addHandler(logging.NullHandler())  # the console belongs to the parent
    line = Line(end)
    with suppress(KeyboardInterrupt, BrokenPipeError), stoppable():
        try:
            _Workman(line, slot, assignment).run()
        except HsplatError as error:
            line.tell(Broken(error.problem, error.next_step))
        except (BrokenPipeError, EOFError):
            raise BrokenPipeError from None
        except Exception as error:
            log.exception("the worker failed")
            line.tell(Broken(f"A worker failed: {type(error).__name__}: {error}", "Please report it."))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)


class _Workman:
    def __init__(self, line: Line, slot: int, assignment: Assignment) -> None:
        self._line = line
        self._slot = slot
        self._given = assignment
        self._jobs = {str(job.folder): job for job in assignment.jobs}
        self._settled: set[int] = set()
        self._failed: dict[int, Failure] = {}  # in this process, where the disk could not take a note
        self._done = 0  # stages
        self._task: str | None = None  # that Luigi believes to be running here
        self._logs: dict[Path, Path] = {}
        self._silent_since: float | None = None
        self._board: Noticeboard | None = None
        if assignment.scheduler is None:
            self._scheduler: Any = ParentsScheduler(line)
        else:
            self._scheduler = remote_scheduler(assignment.scheduler)
            self._board = Noticeboard(assignment.scheduler)
        # A process that takes a dead one's place has its name, so the scheduler gives it the same task anew.
        self._name = f"{socket.gethostname()}-{os.getppid()}-{slot}"

    def run(self) -> None:
        """Works until every clip is settled; on a stop gives its task back, so that nobody waits for it."""
        try:
            with performed_by(self._perform):
                self._settle_all()
        except KeyboardInterrupt:
            if self._task is not None and self._given.scheduler is not None:
                with suppress(UNREACHABLE):
                    self._scheduler.add_task(worker=self._name, task_id=self._task, status="FAILED")
            raise

    def _settle_all(self) -> None:
        remaining = self._in_own_order()
        rounds = 0
        while remaining:
            before = self._done, len(remaining)
            for job in remaining:
                self._take_part(job)
            remaining = [job for job in remaining if self._open_task(job)]
            rounds = rounds + 1 if (self._done, len(remaining)) == before else 0
            if remaining:
                time.sleep(_PAUSES[min(rounds, len(_PAUSES) - 1)])

    def _in_own_order(self) -> list[Job]:
        """The jobs from a place of this worker's own on, so that workers seldom meet at the same clip."""
        jobs = list(self._given.jobs)
        start = 0
        if self._given.scheduler is not None and jobs:
            start = zlib.crc32(self._name.encode()) % len(jobs)
        return jobs[start:] + jobs[:start]

    def _take_part(self, job: Job) -> None:
        """Tells the scheduler of a clip and does what it gives, this or what it was told of before.

        A clip at which somebody is at work is left alone: that costs the scheduler nothing.
        """
        task = self._open_task(job)
        if task is None or task.place.running:
            return
        options = {
            "ping_interval": _PING, "wait_interval": 0.1, "wait_jitter": 0.0,
            "no_install_shutdown_handler": True, "send_failure_email": False, "keep_alive": False,
        }  # fmt: skip
        try:
            with Worker(self._scheduler, worker_id=self._name, worker_processes=1, **options) as worker:
                worker.add(task)
                worker.run()
            self._silent_since = None
        except UNREACHABLE as error:
            self._silent_since = self._silent_since or time.monotonic()
            if time.monotonic() - self._silent_since > _PATIENCE:
                raise StageError(
                    f"{self._given.scheduler} has not answered for {_PATIENCE / 60:.0f} minutes.",
                    "Start it again, then repeat this call.",
                ) from error
            self._line.tell(Silence(f"The scheduler {self._given.scheduler} does not answer."))

    def _open_task(self, job: Job) -> StageTask | None:
        """The last stage of a clip that is to be done, which requires those before it, or None."""
        if job.number in self._settled:
            return None
        try:
            failure = self._given_up(job)
            if failure is None and (task := self._unfinished(job)):
                return task
        except HsplatError as error:  # the video has vanished, or the like
            failure = Failure.of(error, "")
        self._settled.add(job.number)
        self._line.tell(Settled(job.number, failure))
        return None

    def _unfinished(self, job: Job) -> StageTask | None:
        last = self._given.stages[-1]
        task = StageTask(workspace=str(job.folder), stage=last, configuration=job.configuration)
        if not task.output().exists():
            return task  # without reading the video to know what it is
        place = task.place
        for step in reversed(plan(task.settings(), place.hashes)):
            if step.stage.name in self._given.stages and not state(place, step).done:
                return task.clone(stage=step.stage.name)
        return None

    def _given_up(self, job: Job) -> Failure | None:
        """The failure after which no worker of any machine tries a clip again."""
        if self._failed_so_far(job) <= self._given.retries:
            return None
        return failures.read(job.folder) or self._failed.get(job.number)

    def _failed_so_far(self, job: Job) -> int:
        known = failures.read(job.folder) if failures.content(job.folder) != job.before else None
        mine = self._failed.get(job.number)
        return max(failure.attempts if failure else 0 for failure in (known, mine))

    def _perform(self, task: StageTask) -> None:
        """Does a stage as its workspace's only user, unless another machine has done it meanwhile."""
        self._task = task.task_id  # a stop leaves it, to be given back
        try:
            self._attempt(task)
        except Exception:
            self._task = None
            raise
        self._task = None

    def _attempt(self, task: StageTask) -> None:
        place, job = task.place, self._jobs[task.workspace]
        with ExitStack() as held:
            try:
                held.enter_context(place.open_for(job.video))
            except InUse as error:
                self._line.tell(Waits(job.number, error.problem))
                raise
            except HsplatError as error:  # not a workspace of this clip's: nothing is written there
                self._fail(job, task, error)
                self._open_task(job)
                raise
            held.enter_context(logging_to(self._log(place, task), self._given.debug))
            try:
                self._do(job, place, task)
            except Exception as error:
                log.exception("failed")
                told = error if isinstance(error, HsplatError) else unforeseen(error, place)
                failure = self._fail(job, task, told)
                with suppress(OSError):
                    failures.write(place, failure)
                self._open_task(job)
                raise
        if task.stage == self._given.stages[-1]:
            self._open_task(job)  # tells at once that the clip is done

    def _do(self, job: Job, place: Workspace, task: StageTask) -> None:
        step = task.step(place)
        if not state(place, step).done:
            place.save_record(job.video, task.settings().model_dump(mode="json"))
            with self._gpu(job, step):
                execute(place, step, _Reporter(self._line, job, self._board, task.task_id))
        failures.forget(job.folder)
        self._done += 1

    def _fail(self, job: Job, task: StageTask, error: HsplatError) -> Failure:
        failure = Failure.of(error, task.stage, self._failed_so_far(job) + 1)
        self._failed[job.number] = failure
        self._line.tell(Failed(job.number, failure))
        return failure

    @contextmanager
    def _gpu(self, job: Job, step: Step) -> Iterator[None]:
        if not (step.uses_gpu and self._given.locks):
            yield
            return
        waits = Waits(job.number, "Every GPU of this machine is at work.")
        with taking_gpu(self._given.locks, self._given.gpus, self._slot, lambda: self._line.tell(waits)):
            yield

    def _log(self, place: Workspace, task: StageTask) -> Path:
        """A log file for each clip that this process works on."""
        if place.folder not in self._logs:
            self._logs[place.folder] = path = place.log_path()
            with logging_to(path, self._given.debug):
                log_circumstances(log, task.settings())
        return self._logs[place.folder]


class _Reporter:
    """Passes on how a stage goes, to the parent and to luigid's page."""

    def __init__(self, line: Line, job: Job, board: Noticeboard | None, task: str) -> None:
        self._line = line
        self._job = job
        self._board = board
        self._task = task
        self._told = 0.0

    def planned(self, states: list[State]) -> None:
        """The scheduler plans here."""

    def started(self, step: Step) -> None:
        stage = step.stage
        self._line.tell(Started(self._job.number, stage.name, stage.title, step.engine))
        self._show(0, f"{stage.title} ({step.engine})")

    def progress(self, step: Step, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        if now - self._told < _TELLING or total <= 0:
            return
        self._told = now
        share = min(1.0, done / total)
        self._line.tell(Progressed(self._job.number, share, note))
        self._show(round(100 * share), f"{step.stage.title}{': ' if note else ''}{note}")

    def finished(self, step: Step, manifest: Manifest) -> None:
        warnings = tuple(map(str, manifest.summary.get("warnings", ())))
        self._line.tell(Finished(self._job.number, step.stage.name, manifest.seconds, warnings))
        self._show(100, "done")

    def _show(self, percent: int, message: str) -> None:
        if self._board is not None:
            self._board.put(self._task, percent, message)
