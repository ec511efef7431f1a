"""Stage detect: who is in the clip, which of them is the subject, and what is seen of the subject."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from stages.base import Device, Settings, Stage, Work
from stages.engines import RealEngine, choose_engine


class DetectSettings(Settings):
    """Who finds people, and whom to take.

    `weights` is a network of the user's own, in the format of ultralytics, in place of `model`. `landmarks`
    is the network of BlazePose's that looks closely at the subject, whichever engine found them.

    People are numbered from 1 in the order of prominence, the sum over the frames of size times certainty;
    unless `person` says otherwise, the first is the subject: the longest and largest.
    """

    engine: Literal["auto", "yolo", "blazepose"] = "auto"
    model: Literal["yolo11n", "yolo11s", "yolo11m"] = "yolo11n"
    weights: Path | None = None
    landmarks: Literal["auto", "full", "heavy"] = "auto"
    device: Device = "auto"
    person: int | None = Field(None, ge=1, description="number of the person to take")


# BlazePose's larger landmark network.
HEAVY = RealEngine("heavy", (), "blazepose_heavy", "full", setting="landmarks", on_gpu=False)


def network(settings: DetectSettings) -> RealEngine:
    """YOLO, as the settings want it."""
    own = settings.weights is not None
    return RealEngine("yolo", ("ultralytics", "lap"), None if own else settings.model, "blazepose")


def engine(settings: DetectSettings) -> str:
    """The engine that will run, with "+heavy" where the larger network looks at the subject.

    Raises:
        InputError: YOLO or the larger network is asked for and cannot run.
    """
    finder = choose_engine(settings.engine, network(settings), settings.device)
    looker = choose_engine(settings.landmarks, HEAVY)
    return f"{finder}+{looker}" if looker == HEAVY.name else finder


def run(work: Work) -> dict[str, Any]:
    """Write `tracks.json`, `people.npz`, `subject.npz`, `landmarks.npz` and `silhouettes/*.png`.

    Raises:
        InputError: nobody is in the clip, or not the person asked for.
        StageError: the disk is full.
    """
    from stages.detect.finding import find_subject

    return find_subject(work)


STAGE = Stage(
    name="detect",
    version=4,
    needs=("frames",),
    settings=DetectSettings,
    run=run,
    engine=engine,
    real=network,
    second=HEAVY,
    title="Finding the person",
)
