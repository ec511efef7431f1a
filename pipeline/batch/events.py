"""What a worker process is told, and what it tells."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.batch.failures import Failure


@dataclass(frozen=True)
class Job:
    """A clip that is not up to date.

    Attributes:
        number: its index in the batch.
        video, folder: the clip and its workspace.
        configuration: as Luigi's tasks carry it.
        before: the text of the failure that earlier calls left, to tell a new one by.
    """

    number: int
    video: Path
    folder: Path
    configuration: str
    before: str = ""


@dataclass(frozen=True)
class Assignment:
    """What every worker of a call is given.

    Attributes:
        jobs: all that is to be done; who does what the scheduler decides.
        stages: the names of the stages wanted, in order.
        retries: how often a clip that failed is tried again.
        scheduler: the address of a luigid; None where the parent process schedules.
        gpus: as many has this machine.
        locks: a folder of the call's own for the GPUs' locks; None where no two workers share them.
        threads: as many may a worker use for computing.
        debug: write more into the log files.
    """

    jobs: tuple[Job, ...]
    stages: tuple[str, ...]
    retries: int
    scheduler: str | None
    gpus: int
    locks: Path | None
    threads: int
    debug: bool


@dataclass(frozen=True)
class Started:
    """A stage of a clip began."""

    number: int
    stage: str
    title: str
    engine: str


@dataclass(frozen=True)
class Progressed:
    """A stage went on; `share` of its work is done."""

    number: int
    share: float
    note: str


@dataclass(frozen=True)
class Finished:
    """A stage was published."""

    number: int
    stage: str
    seconds: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Failed:
    """A stage failed; the clip may be tried again."""

    number: int
    failure: Failure


@dataclass(frozen=True)
class Waits:
    """A clip cannot go on now, for another process is at work on it or every GPU is taken."""

    number: int
    reason: str


@dataclass(frozen=True)
class Settled:
    """Nothing more is to be done for a clip: it is complete, or `failure` says why it never will be."""

    number: int
    failure: Failure | None = None


@dataclass(frozen=True)
class Silence:
    """The scheduler does not answer; work that has begun goes on, and it is asked again."""

    reason: str


@dataclass(frozen=True)
class Broken:
    """The worker ends for a reason that no clip has to do with."""

    problem: str
    next_step: str


Event = Started | Progressed | Finished | Failed | Waits | Settled | Silence | Broken
