"""The chain as Luigi sees it: one task class over the table of stages."""

import json
import logging
from pathlib import Path
from typing import ClassVar

import luigi

import stages
from models.errors import StageError
from pipeline import config
from pipeline.chain import Reporter, Silent, Step, execute, plan, state
from pipeline.workspace import MANIFEST, Workspace
from stages.base import Settings

log = logging.getLogger(__name__)


class StageTask(luigi.Task):
    """One stage of one clip. The parameters are all there is to know, so any machine can rebuild the task."""

    workspace = luigi.Parameter()
    stage = luigi.Parameter()
    configuration = luigi.Parameter(description="the whole configuration in JSON")

    reporter: ClassVar[Reporter] = Silent()
    errors: ClassVar[dict[str, Exception]] = {}  # the first of each workspace, which ends the work on it

    @property
    def _workspace(self) -> Workspace:
        return Workspace(Path(self.workspace))

    @property
    def _step(self) -> Step:
        steps = plan(config.parsed(json.loads(self.configuration)), self._workspace.hashes)
        return next(step for step in steps if step.stage.name == self.stage)

    def process_resources(self) -> dict[str, int]:
        # As many of these run at once as Luigi's configuration allows, 1 by default.
        return {"gpu": 1} if self._step.uses_gpu else {}

    def requires(self) -> list["StageTask"]:
        return [self.clone(stage=name) for name in self._step.stage.needs]

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(str(self._workspace.stage_folder(self.stage) / MANIFEST))

    def complete(self) -> bool:
        return state(self._workspace, self._step).done

    @property
    def priority(self) -> int:  # type: ignore[override]
        return -[stage.name for stage in stages.STAGES].index(self.stage)

    def run(self) -> None:
        if self.workspace in self.errors:
            raise _Skipped
        try:
            execute(self._workspace, self._step, self.reporter)
        except Exception as error:
            self.errors[self.workspace] = error
            raise


class _Skipped(Exception):
    """An earlier stage of the same clip has failed."""


def run_chain(workspace: Workspace, configuration: Settings, names: list[str], reporter: Reporter) -> None:
    """Brings the named stages, and what they need, up to date with Luigi's local scheduler.

    Raises:
        Exception: what the first stage to fail raised; the stages before it stay published.
    """
    text = json.dumps(configuration.model_dump(mode="json"), sort_keys=True)
    tasks = [StageTask(workspace=str(workspace.folder), stage=name, configuration=text) for name in names]
    luigi.configuration.get_config().set("core", "no_configure_logging", "true")
    StageTask.reporter = reporter
    StageTask.errors.clear()
    try:
        result = luigi.build(tasks, local_scheduler=True, workers=1, detailed_summary=True)
    finally:
        StageTask.reporter = Silent()
    if error := StageTask.errors.get(str(workspace.folder)):
        raise error
    if not result.scheduling_succeeded or any(not task.complete() for task in tasks):
        raise StageError("The stages could not be scheduled.", "The log file has Luigi's reasons.")
