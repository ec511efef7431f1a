"""The chain as Luigi sees it: one task class over the table of stages."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import luigi
from luigi.task_register import Register

import stages
from models.errors import StageError
from pipeline import config
from pipeline.chain import Reporter, Step, execute, plan, state, uses_gpu
from pipeline.workspace import MANIFEST, Workspace
from stages.base import Settings

log = logging.getLogger(__name__)


class StageTask(luigi.Task):
    """One stage of one clip. The parameters are all there is to know, so any machine can rebuild the task.

    The stages of a clip run one after another, since only one process at a time works in a workspace.
    """

    workspace = luigi.Parameter()
    stage = luigi.Parameter()
    configuration = luigi.Parameter(description="what differs from the defaults, in JSON")

    performer: ClassVar[Callable[["StageTask"], None]]  # what `run` calls; see `performed_by`

    @property
    def place(self) -> Workspace:
        """The clip's workspace."""
        return Workspace(Path(self.workspace))

    def settings(self) -> Settings:
        """The whole configuration."""
        return config.parsed(json.loads(self.configuration))

    def step(self, place: Workspace) -> Step:
        """The stage's work in a workspace; raises InputError as `plan` does."""
        steps = plan(self.settings(), place.hashes)
        return next(step for step in steps if step.stage.name == self.stage)

    def process_resources(self) -> dict[str, int]:
        # As many of these run at once as the scheduler's configuration allows, 1 by default.
        stage = next(stage for stage in stages.STAGES if stage.name == self.stage)
        return {"gpu": 1} if uses_gpu(stage, getattr(self.settings(), self.stage)) else {}

    def requires(self) -> list["StageTask"]:
        names = [stage.name for stage in stages.STAGES]
        return [self.clone(stage=name) for name in names[: names.index(self.stage)]]

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(str(self.place.stage_folder(self.stage) / MANIFEST))

    def complete(self) -> bool:
        place = self.place
        return self.output().exists() and state(place, self.step(place)).done

    def run(self) -> None:
        type(self).performer(self)


def text(configuration: Settings) -> str:
    """A configuration as tasks carry it: only what differs from the defaults, the same on every machine."""
    sections = {
        name: given
        for name, section in configuration
        if (given := section.model_dump(mode="json", exclude_defaults=True))
    }
    return json.dumps(sections, sort_keys=True)


@contextmanager
def performed_by(performer: Callable[[StageTask], None]) -> Iterator[None]:
    """For a while, what the tasks of this process do when their turn comes."""
    luigi.configuration.get_config().set("core", "no_configure_logging", "true")
    Register.clear_instance_cache()
    StageTask.performer = performer
    try:
        yield
    finally:
        del StageTask.performer


def run_chain(workspace: Workspace, configuration: Settings, names: list[str], reporter: Reporter) -> None:
    """Brings the named stages, and what they need, up to date with Luigi's local scheduler.

    Raises:
        Exception: what the first stage to fail raised; the stages before it stay published.
    """
    failed: list[Exception] = []

    def perform(task: StageTask) -> None:
        try:
            execute(workspace, task.step(workspace), reporter)
        except Exception as error:
            failed.append(error)
            raise

    given = text(configuration)
    tasks = [StageTask(workspace=str(workspace.folder), stage=name, configuration=given) for name in names]
    with performed_by(perform):
        result = luigi.build(tasks, local_scheduler=True, workers=1, detailed_summary=True)
    if failed:
        raise failed[0]
    if not result.scheduling_succeeded or any(not task.complete() for task in tasks):
        raise StageError("The stages could not be scheduled.", "The log file has Luigi's reasons.")
