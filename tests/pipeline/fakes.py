"""A small chain that stands in for the real one: it copies text, counts, and fails or hangs when told to.

`python -m tests.pipeline.fakes ARGUMENTS` is the command line with this chain.
"""

import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

import stages
from models.errors import InputError, StageError
from pipeline import config
from pipeline.__main__ import main
from stages.base import Device, Settings, Stage, Work
from stages.engines import RealEngine, choose_engine

PRESETS = Path(__file__).parent / "presets"


class FramesSettings(Settings):
    video: Path
    rate: float = Field(10.0, gt=0)
    focal: float | None = Field(None, gt=0)


class DetectSettings(Settings):
    person: int | None = None


class Weights(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    colour: float = 1.0
    silhouette: float = 0.5


class PosesSettings(Settings):
    file: Path | None = None
    height: float | None = Field(None, gt=0)
    weights: Weights = Weights()


class MasksSettings(Settings):
    file: Path | None = None
    engine: Literal["auto", "net", "embedded"] = "auto"
    device: Device = "auto"


class OptimizeSettings(Settings):
    steps: int = Field(5, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    height: float | None = None


class ExportSettings(Settings):
    title: str = ""


def work(work: Work) -> dict[str, Any]:
    """Writes one file that depends on the settings and on the files of the stages before."""
    name = work.output.name.split(".")[1]
    note("ran", name)
    note("clip", f"{work.output.parent.name} {name}")
    note("pid", f"{work.output.parent.name} {name} {os.getpid()}")
    misfortune(work.output.parent.name, name)
    (work.output / "half").write_text("half a result")
    if os.environ.get("FAKE_FAIL") == name:
        raise {"input": InputError, "stage": StageError, "bug": ValueError}[os.environ["FAKE_KIND"]](
            f"{name} cannot do it"
        )
    if name == "optimize":
        optimize(work)
    if os.environ.get("FAKE_HANG") == name:
        note("hangs", name)
        time.sleep(60)
    (work.output / "half").unlink()
    note("whole", f"{work.output.parent.name} {name}")
    text = [(folder / "result.txt").read_text() for folder in work.inputs.values()]
    (work.output / "result.txt").write_text(
        "".join([*text, f"{name} {work.settings.model_dump(mode='json')}\n"])
    )
    return {"files": {"result.txt": f"what {name} found"}}


def misfortune(clip: str, name: str) -> None:
    """What befalls one clip of several, by its workspace's name: FAKE_CLIPS is "NAME STAGE WHAT;..."."""
    for text in filter(None, os.environ.get("FAKE_CLIPS", "").split(";")):
        whom, where, what, *more = text.split()
        if (clip, name) != (whom, where):
            continue
        if what == "fails":
            raise StageError(f"{clip} is no good")
        if what == "fails-once" and notes().count(f"clip {clip} {name}\n") == 1:
            raise StageError(f"{clip} has a bad day")
        if what == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "swallows":
            with suppress(KeyboardInterrupt):
                os.kill(os.getpid(), int(more[0]))
            if more[1] == "fails":
                raise InputError("The clip is cut off.")
        if what == "awaits":
            await_note(f"clip {more[0]} {more[1]}\n")
        note("past", f"{clip} {name}")


def await_note(text: str) -> None:
    for _ in range(9600):
        if text in notes():
            return
        time.sleep(0.05)
    raise StageError(f"{text!r} never came")


def notes() -> str:
    path = Path(os.environ["FAKE_NOTES"])
    return path.read_text("utf-8") if path.exists() else ""


def optimize(work: Work) -> None:
    """Steps with a checkpoint after each."""
    checkpoint = work.scratch / "step"
    first = int(checkpoint.read_text()) if checkpoint.exists() else 0
    note("from", str(first))
    for step in range(first, work.settings.steps):
        checkpoint.write_text(str(step + 1))
        work.progress(step + 1, work.settings.steps)
    time.sleep(float(os.environ.get("FAKE_SLEEP", "0")))


def note(what: str, value: str) -> None:
    """Tells the test, which may be another process, in a file."""
    if path := os.environ.get("FAKE_NOTES"):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(f"{what} {value}\n")


def engine(settings: Any) -> str:
    return "embedded"


def network(settings: MasksSettings) -> RealEngine | None:
    return None if settings.file else RealEngine("net", ("json",), "sam_vit_b", "embedded")


def masks_engine(settings: MasksSettings) -> str:
    return choose_engine(settings.engine, network(settings), settings.device)


def rendering_engine(settings: OptimizeSettings) -> str:
    if settings.device == "cuda":
        raise InputError("There is no CUDA device.", "Use --device cpu.")
    return os.environ.get("FAKE_RENDERER", "numba")


def row(name: str, needs: tuple[str, ...], settings: type[Settings]) -> Stage:
    choose = {"optimize": rendering_engine, "masks": masks_engine}.get(name, engine)
    stage = Stage(name, 1, needs, settings, work, choose, f"do {name}")
    return replace(stage, real=network) if name == "masks" else stage


FAKES = (
    row("frames", (), FramesSettings),
    row("detect", ("frames",), DetectSettings),
    row("poses", ("frames", "detect"), PosesSettings),
    row("masks", ("frames", "detect"), MasksSettings),
    row("optimize", ("frames", "poses", "masks"), OptimizeSettings),
    row("export", ("frames", "optimize"), ExportSettings),
)


if __name__ in ("__main__", "__mp_main__"):  # the latter in worker processes of a batch
    stages.STAGES = FAKES
    config.PRESETS = PRESETS
if __name__ == "__main__":
    main()
