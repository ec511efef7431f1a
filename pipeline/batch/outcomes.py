"""How a clip of a folder stands."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.errors import HsplatError, InputError
from pipeline.batch import failures
from pipeline.batch.clips import Clip
from pipeline.batch.failures import Failure
from pipeline.chain import plan, state
from pipeline.paths import absolute
from pipeline.run import check_video
from pipeline.workspace import Manifest, Workspace
from stages.base import Settings


@dataclass(frozen=True)
class Outcome:
    """A clip's standing.

    Attributes:
        clip: which one.
        result: "done", "failed" or "open", which is to be done.
        failure: why it failed, now or, where it is open, when it was tried last.
        seconds: how long each stage took that is up to date.
        finished: when the last of them ended, UTC.
        figures: what the last of them found, its manifest's summary.
    """

    clip: Clip
    result: str
    failure: Failure | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    finished: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def report(self) -> Path | None:
        """The clip's report, where there is one that is up to date."""
        path = self.clip.folder / "export" / "report.html"
        return path if "export" in self.seconds and path.is_file() else None

    def failed(self, failure: Failure) -> "Outcome":
        """The same clip, given up."""
        return replace(self, result="failed", failure=failure)


def of_clip(configuration: Settings, clip: Clip) -> Settings:
    """The configuration of a folder for one of its clips."""
    frames: Any = configuration.frames  # type: ignore[attr-defined]
    return configuration.model_copy(update={"frames": frames.model_copy(update={"video": clip.video})})


def survey(clip: Clip, configuration: Settings, names: list[str]) -> Outcome:
    """Compares a clip's workspace with the configuration; a video that is new is not read.

    Args:
        clip: which one.
        configuration: the clip's own.
        names: the stages wanted.
    """
    try:
        check_video(absolute(clip.video))
        workspace = Workspace(clip.folder)
        if not workspace.record_path.exists():
            return Outcome(clip, "open", failures.read(clip.folder))
        steps = [step for step in plan(configuration, workspace.hashes) if step.stage.name in names]
        states = [state(workspace, step) for step in steps]
    except HsplatError as error:
        return Outcome(clip, "failed", Failure.of(error, ""))
    except OSError as error:
        told = InputError(f"{clip.folder} cannot be read: {error.strerror}.", "Make it readable.")
        return Outcome(clip, "failed", Failure.of(told, ""))
    manifests: list[Manifest] = [each.manifest for each in states if each.done and each.manifest]
    done = len(manifests) == len(names)
    return Outcome(
        clip,
        "done" if done else "open",
        None if done else failures.read(clip.folder),
        {manifest.stage: manifest.seconds for manifest in manifests},
        max((manifest.finished for manifest in manifests), default=""),
        manifests[-1].summary if done else {},
    )
