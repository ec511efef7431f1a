"""What has to be done for a clip, and doing one stage of it. Nothing in here knows Luigi or the console."""

import contextlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import psutil
from pydantic import ValidationError

import stages
from models import gpu, weights
from models.errors import InputError, StageError
from pipeline import config
from pipeline.hashing import Hashes, data_hash
from pipeline.logs import facts
from pipeline.stopping import believed, check_stop
from pipeline.workspace import Damaged, Manifest, Workspace, listed, now
from stages.base import Progress, Settings, Stage, Work

log = logging.getLogger(__name__)

GPU_ENGINES = {"gsplat"}  # work on nothing else


@dataclass(frozen=True)
class Step:
    """One stage's work on one clip, as its configuration, engine and inputs define it.

    Attributes:
        stage: the row of the table.
        settings: its section of the configuration.
        engine: the engine that will do it.
        files: content hashes of the user's files that the settings name, by full key.
        needs: the fingerprints of the stages that it reads.
        weights: content hashes of the engine's weights, by their keys.
        fingerprint: the hash of all that; equal fingerprints mean equal results.
    """

    stage: Stage
    settings: Settings
    engine: str
    files: dict[str, str]
    needs: dict[str, str]
    weights: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return data_hash([
            self.stage.name, self.stage.version, self.engine, self.plain_settings, self.files, self.needs,
            *([self.weights] if self.weights else []),
        ])  # fmt: skip

    @property
    def plain_settings(self) -> dict[str, Any]:
        """The settings without the paths of files, whose content counts and not their place."""
        return {
            name: value
            for name, value in self.settings.model_dump(mode="json").items()
            if not self._is_file(name)
        }

    @property
    def names(self) -> dict[str, str]:
        """What the user's files are called, by full key; for people only, since the content counts."""
        paths = {name: value for name, value in self.settings if isinstance(value, Path)}
        return {f"{self.stage.name}.{name}": path.name for name, path in paths.items()}

    @property
    def uses_gpu(self) -> bool:
        """Whether the engine works on the GPU."""
        return uses_gpu(self.stage, self.settings)

    def _is_file(self, name: str) -> bool:
        return f"{self.stage.name}.{name}" in self.files


def uses_gpu(stage: Stage, settings: Settings) -> bool:
    """Whether the engine that a stage's settings choose works on the GPU.

    Raises:
        InputError: the engine is not to be had.
    """
    if stage.engine(settings) in GPU_ENGINES:
        return True
    if not any(network.on_gpu for network in stage.running(settings)):
        return False
    return getattr(settings, "device", "cpu") != "cpu" and gpu.device() is not None


def plan(configuration: Settings, hashes: Hashes) -> list[Step]:
    """Every stage's step, in the table's order.

    Raises:
        InputError: a file that the configuration names cannot be read, or an engine is not to be had.
    """
    steps: dict[str, Step] = {}
    for stage in stages.STAGES:
        settings = getattr(configuration, stage.name)
        values = {f"{stage.name}.{name}": value for name, value in settings}
        steps[stage.name] = Step(
            stage=stage,
            settings=settings,
            engine=stage.engine(settings),
            files={key: hashes.of(value, key) for key, value in values.items() if isinstance(value, Path)},
            needs={name: steps[name].fingerprint for name in stage.needs},
            weights=_weights(stage, settings),
        )
    return list(steps.values())


def _weights(stage: Stage, settings: Settings) -> dict[str, str]:
    keys = [network.weights for network in stage.running(settings) if network.weights]
    return {key: weights.content_hash(key) for key in keys}


@dataclass(frozen=True)
class State:
    """How a step stands in a workspace.

    Attributes:
        step: what would be done.
        name: "done", "out of date", "damaged" or "missing".
        reason: why it is not done, for a person.
        manifest: of the published stage, where there is a readable one.
    """

    step: Step
    name: str
    reason: str = ""
    manifest: Manifest | None = None

    @property
    def done(self) -> bool:
        return self.name == "done"


def state(workspace: Workspace, step: Step, verify: bool = False) -> State:
    """Compares what is published with what the configuration asks for; `verify` as of Workspace.manifest."""
    try:
        manifest = workspace.manifest(step.stage.name, verify)
    except FileNotFoundError:
        return State(step, "missing")
    except Damaged as damage:
        return State(step, "damaged", str(damage))
    if manifest.fingerprint == step.fingerprint:
        return State(step, "done", manifest=manifest)
    return State(step, "out of date", ", ".join(_changes(manifest, step)), manifest)


def _changes(manifest: Manifest, step: Step) -> Iterable[str]:
    if manifest.engine != step.engine:
        yield f"engine {step.engine} instead of {manifest.engine}"
    if manifest.version != step.stage.version:
        yield "made by another version"
    new = step.plain_settings
    for name in sorted(new.keys() | manifest.settings.keys()):
        if new.get(name) != manifest.settings.get(name):
            yield f"{step.stage.name}.{name} changed"
    for key in sorted(step.files.keys() | manifest.files.keys()):
        if step.files.get(key) != manifest.files.get(key):
            yield f"the file of {key} changed"
    if step.weights != manifest.weights and manifest.engine == step.engine:
        yield "its weights changed"
    for name in sorted(step.needs):
        if step.needs[name] != manifest.needs.get(name):
            yield f"{name} changed"


def downstream(name: str) -> list[str]:
    """A stage and all that follow from it, in the table's order."""
    found = {name}
    for stage in stages.STAGES:
        if found & set(stage.needs):
            found.add(stage.name)
    return [stage.name for stage in stages.STAGES if stage.name in found]


def recorded(workspace: Workspace) -> list[Step]:
    """The plan of the latest run in a workspace.

    Raises:
        InputError: the folder is no workspace, or what it asks for is not to be had any more.
    """
    try:
        if not workspace.folder.is_dir():
            raise FileNotFoundError(workspace.folder)
        record = workspace.record()
        return plan(config.parsed(record.configuration), workspace.hashes)
    except OSError:
        raise InputError(
            f"{workspace.folder} is not a workspace.", "Make one: hsplat-pipeline run VIDEO --workspace DIR"
        ) from None
    except (Damaged, ValidationError) as error:
        raise InputError(
            f"{workspace.record_path} is damaged, or another version wrote it.",
            "Run again on the video; what is up to date stays.",
        ) from error


class Reporter(Protocol):
    """Told how a run goes."""

    def planned(self, states: list[State]) -> None: ...
    def started(self, step: Step) -> None: ...
    def progress(self, step: Step, done: int, total: int, note: str = "") -> None: ...
    def finished(self, step: Step, manifest: Manifest) -> None: ...


def execute(workspace: Workspace, step: Step, reporter: Reporter) -> None:
    """Does a step and publishes its folder; on any failure what was published before stays.

    Raises:
        HsplatError: the stage's own, or the disk's refusal.
        Exception: what else the stage raised.
    """
    name = step.stage.name
    about = {"stage": name, "engine": step.engine, "fingerprint": step.fingerprint}
    log.info("%s: started", name, extra=facts(event="started", **about))
    reporter.started(step)
    _forget_peak_memory()
    gpu.forget_peak_memory()
    start = perf_counter()
    _check_inputs(workspace, step)
    with _gpu_released(), workspace.staging(name, step.fingerprint) as (partial, scratch):
        if any(scratch.iterdir()):
            log.info("%s: finds the checkpoint of a run that was stopped", name)
        work = Work(
            inputs={need: workspace.stage_folder(need) for need in step.stage.needs},
            output=partial,
            scratch=scratch,
            settings=step.settings,
            engine=step.engine,
            progress=_progress(reporter, step),
        )
        with believed():
            summary = step.stage.run(work)
        manifest = Manifest(
            stage=name,
            version=step.stage.version,
            engine=step.engine,
            settings=step.plain_settings,
            files=step.files,
            names=step.names,
            needs=step.needs,
            fingerprint=step.fingerprint,
            finished=now(),
            seconds=round(perf_counter() - start, 3),
            weights=step.weights,
            peak_memory=_peak_memory(),
            peak_gpu_memory=gpu.peak_memory(),
            summary=summary,
            outputs=listed(partial),
        )
        workspace.publish(manifest)
    spent = {"seconds": manifest.seconds, "peak_memory": manifest.peak_memory}
    log.info("%s: done", name, extra=facts(event="done", **about, **spent, summary=manifest.summary))
    reporter.finished(step, manifest)


def _check_inputs(workspace: Workspace, step: Step) -> None:
    """Raises StageError where a file that the step reads is not what its stage wrote."""
    for need in step.stage.needs:
        try:
            workspace.manifest(need, verify=True)
        except (Damaged, FileNotFoundError) as damage:
            workspace.forget(need)
            raise StageError(
                f"{workspace.folder} is damaged: {damage}.", f"Run again; {need} is done anew then."
            ) from damage


def _progress(reporter: Reporter, step: Step) -> Progress:
    def told(done: int, total: int, note: str = "") -> None:
        check_stop()
        log.debug("%s: %d of %d %s", step.stage.name, done, total, note)
        reporter.progress(step, done, total, note)

    return told


@contextlib.contextmanager
def _gpu_released() -> Iterator[None]:
    """The next stage's models find the GPU empty."""
    try:
        yield
    finally:
        gpu.release()


def _forget_peak_memory() -> None:
    """Starts the kernel's record of this process's peak anew, where it lets us."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory() -> int:
    """Bytes that this process occupied at most, since the stage began where the kernel can tell."""
    for line in _status_lines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return int(psutil.Process().memory_info().rss)


def _status_lines() -> list[str]:
    try:
        return Path("/proc/self/status").read_text("utf-8").splitlines()
    except OSError:
        return []
