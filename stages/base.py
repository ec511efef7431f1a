"""What every stage is made of: a name, what it needs, its settings, and the function that does the work."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from stages.engines import RealEngine

Item = TypeVar("Item")
Device = Literal["auto", "cpu", "cuda"]
"""What a stage's network or renderer runs on; auto is CUDA where it can be used."""


class Settings(BaseModel):
    """Base of every stage's settings: unknown keys are refused, numbers finite, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Progress(Protocol):
    """Told by a stage how far it is."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def silent(done: int, total: int, note: str = "") -> None:
    """The progress of somebody who does not want to know."""


def counted(items: Iterable[Item], total: int, progress: Progress) -> Iterator[Item]:
    """The same items; progress is told of each once its taker is done with it."""
    for done, item in enumerate(items, start=1):
        yield item
        progress(done, total)


@dataclass(frozen=True)
class Work:
    """One stage's work on one clip.

    Attributes:
        inputs: for every stage named in `needs`, the folder that it published.
        output: an empty folder, private to this call until the stage returns; published by the caller.
        scratch: a folder for checkpoints that survives a killed process; emptied once the stage is published.
        settings: this stage's settings; the fingerprint covers exactly these.
        engine: what `Stage.engine` chose.
        progress: to be called now and then.
    """

    inputs: Mapping[str, Path]
    output: Path
    scratch: Path
    settings: Any
    engine: str
    progress: Progress = silent


@dataclass(frozen=True)
class Stage:
    """A row in the table of stages.

    Attributes:
        name: the folder's name in the workspace, and the section of the configuration.
        version: part of the fingerprint; raised when the stage's results change for equal inputs.
        needs: stages whose folders it reads.
        settings: the schema of its section of the configuration.
        run: does the work; returns the facts worth showing (JSON-able), kept in the manifest as `summary`.
        engine: from its settings to the name of the engine that will run ("auto" resolved); where a second
            network works beside it, both names with a plus between them.
        title: what a person reads while it runs.
        real: from its settings to the engine that runs a network with weights to be downloaded, where the
            stage has one; it gives None where the user's own file takes every engine's place. The weights'
            hash is part of the fingerprint.
        second: another such network, which may work beside whichever engine.
    """

    name: str
    version: int
    needs: tuple[str, ...]
    settings: type[Settings]
    run: Callable[[Work], dict[str, Any]]
    engine: Callable[[Any], str]
    title: str
    real: Callable[[Any], RealEngine | None] | None = None
    second: RealEngine | None = None

    def networks(self, settings: Settings) -> list[RealEngine]:
        """The networks with weights to be downloaded that have a place in the stage with these settings."""
        real = self.real(settings) if self.real else None
        return [network for network in (real, self.second) if network is not None]

    def running(self, settings: Settings) -> list[RealEngine]:
        """Those of them that will run.

        Raises:
            InputError: one is asked for and cannot run.
        """
        names = self.engine(settings).split("+")
        return [network for network in self.networks(settings) if network.name in names]
