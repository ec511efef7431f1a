"""One call of the command `batch`, from the folder to the summary."""

import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

import stages
from models import gpu
from models.errors import InputError
from pipeline import config
from pipeline.batch import overview
from pipeline.batch.board import Board
from pipeline.batch.clips import Clip, Shard, find_clips
from pipeline.batch.display import Display
from pipeline.batch.events import Assignment, Event, Job
from pipeline.batch.failures import Failure, content
from pipeline.batch.outcomes import Outcome, of_clip, survey
from pipeline.chain import uses_gpu
from pipeline.run import names_until
from stages.base import Settings

_MEMORY = 2 * 2**30  # bytes that a worker takes, roughly
_CORES = 4  # of a worker without a GPU; more cores than that a clip hardly uses
_LISTEN = 0.25  # seconds


@dataclass(frozen=True)
class Call:
    """What the user asked for.

    Attributes:
        folder: with the videos.
        output: where workspaces and overview go; None for beside the clips and in the folder.
        recursive, patterns, shard: which clips; see `find_clips`.
        workers: processes; None for as many as suit this machine.
        scheduler: the address of a luigid that other machines share.
        retries: how often a clip that failed is tried again.
        preset, config_file, assignments, options: as of `config.load`.
        until: the last stage to do.
        debug: more talkative log files.
    """

    folder: Path
    output: Path | None = None
    recursive: bool = False
    patterns: tuple[str, ...] = ()
    shard: Shard | None = None
    workers: int | None = None
    scheduler: str | None = None
    retries: int = 0
    preset: str = "default"
    config_file: Path | None = None
    assignments: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    until: str | None = None
    debug: bool = False

    @property
    def place(self) -> Path:
        """Where summary.csv and index.html go."""
        return self.output or self.folder


@dataclass(frozen=True)
class Result:
    """How it ended: every clip's outcome, how many were done before, the time it took."""

    outcomes: list[Outcome]
    before: int
    seconds: float


def run_batch(call: Call, display: Display) -> Result:
    """Brings every clip of a folder up to date; one that fails does not stop the others.

    Raises:
        InputError: the folder, the configuration or the scheduler cannot be used.
        StageError: workers cannot work at all.
        KeyboardInterrupt: SIGINT or SIGTERM came; the workers have ended, what is finished stays.
    """
    began = time.monotonic()
    names = names_until(call.until)
    if not call.folder.is_dir():
        raise InputError(f"{call.folder} is not a folder.", "Give a folder with videos, or call run.")
    overview.refuse_place(call.place, call.shard)
    configuration = load(call)
    _check_engines(configuration, names)
    clips = clips_of(call)
    outcomes = [survey(clip, of_clip(configuration, clip), names) for clip in clips]
    before = sum(outcome.result == "done" for outcome in outcomes)
    board = Board(outcomes, names)
    display.begin(board)
    jobs = tuple(_jobs(outcomes, configuration))
    if jobs:
        _work(call, configuration, jobs, names, board, display)
        for job in jobs:
            outcomes[job.number] = _outcome(outcomes[job.number].clip, configuration, names, board, job)
    return Result(outcomes, before, time.monotonic() - began)


def load(call: Call) -> Settings:
    """The configuration of all clips; its video is none of them."""
    return config.load(
        call.folder / "VIDEO", call.preset, call.config_file, call.assignments, dict(call.options)
    )


def clips_of(call: Call) -> list[Clip]:
    """The clips that a call is about; InputError where there are none."""
    clips = find_clips(call.folder, call.output, call.recursive, call.patterns)
    if not clips:
        deeper = "" if call.recursive else " --recursive looks into the folders below, too."
        raise InputError(f"There are no videos in {call.folder}.", f"--pattern says what is one.{deeper}")
    return [clip for clip in clips if call.shard is None or call.shard.holds(clip)]


def _check_engines(configuration: Settings, names: Iterable[str]) -> None:
    """Raises InputError once, and not for every clip, where an engine is not to be had."""
    for stage in stages.STAGES:
        if stage.name in names:
            stage.engine(getattr(configuration, stage.name))


def _jobs(outcomes: Iterable[Outcome], configuration: Settings) -> Iterable[Job]:
    from pipeline.tasks import text  # Luigi takes its time to load; often there is no work

    for number, outcome in enumerate(outcomes):
        if outcome.result == "open":
            clip = outcome.clip
            yield Job(
                number, clip.video, clip.folder, text(of_clip(configuration, clip)), content(clip.folder)
            )


def _work(
    call: Call,
    configuration: Settings,
    jobs: tuple[Job, ...],
    names: list[str],
    board: Board,
    display: Display,
) -> None:
    from pipeline.batch.crew import Crew
    from pipeline.batch.scheduling import check_scheduler

    if call.scheduler is not None:
        check_scheduler(call.scheduler)
    gpus = _gpus(configuration, names)
    workers = min(call.workers or default_workers(gpus), len(jobs))
    with _gpu_locks(gpus > 0 and workers > 1) as locks:
        assignment = Assignment(
            jobs=jobs,
            stages=tuple(names),
            retries=call.retries,
            scheduler=call.scheduler,
            gpus=gpus,
            locks=Path(locks) if locks else None,
            threads=max(1, _cores() // workers),
            debug=call.debug,
        )
        with Crew(workers, assignment) as crew:
            while crew.at_work:
                for event in crew.listen(_LISTEN):
                    _show(event, board, display)
                display.refresh()


def _gpu_locks(shared: bool) -> AbstractContextManager[str | None]:
    """A folder that is not made for nothing: a killed call leaves it behind."""
    return tempfile.TemporaryDirectory(prefix="hsplat-batch-") if shared else nullcontext()


def _show(event: Event, board: Board, display: Display) -> None:
    if getattr(event, "number", None) in board.results:
        return  # every worker says so once, and one may see it before the one that did it has told
    board.take(event)
    display.take(event)


def _outcome(clip: Clip, configuration: Settings, names: list[str], board: Board, job: Job) -> Outcome:
    outcome = survey(clip, of_clip(configuration, clip), names)
    if outcome.result != "open":
        return outcome
    unknown = Failure(
        stage="", problem="Another call has since begun to make it anew, with other settings or engines."
    )
    return outcome.failed(board.failures.get(job.number) or outcome.failure or unknown)


def _gpus(configuration: Settings, names: Iterable[str]) -> int:
    """How many GPUs of this machine the stages wanted can use."""
    wanted = any(
        uses_gpu(stage, getattr(configuration, stage.name)) for stage in stages.STAGES if stage.name in names
    )
    return gpu.count() if wanted else 0


def default_workers(gpus: int) -> int:
    """As many workers as suit this machine: one more than GPUs, or one for a few cores; if memory permits."""
    fitting = psutil.virtual_memory().available // _MEMORY
    wanted = min(gpus + 1, _cores()) if gpus else _cores() // _CORES
    return int(max(1, min(wanted, fitting)))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
