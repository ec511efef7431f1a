"""Stage detect: who is in the clip, which of them is the subject, and what is seen of the subject."""

from typing import Any, Literal

from pydantic import Field

from stages.base import Device, Settings, Stage, Work


class DetectSettings(Settings):
    """Who finds people, and whom to take.

    People are numbered from 1 in the order of prominence, the sum over the frames of size times certainty;
    unless `person` says otherwise, the first is the subject: the longest and largest.
    """

    engine: Literal["auto", "blazepose"] = "auto"
    device: Device = "auto"
    person: int | None = Field(None, ge=1, description="number of the person to take")


def choose_engine(settings: DetectSettings) -> str:
    """The engine that will run."""
    return "blazepose" if settings.engine == "auto" else settings.engine


def run(work: Work) -> dict[str, Any]:
    """Write `tracks.json`, `subject.npz`, `landmarks.npz` and `silhouettes/*.png`.

    Raises:
        InputError: nobody is in the clip, or not the person asked for.
        StageError: the disk is full.
    """
    from stages.detect.finding import find_subject

    return find_subject(work)


STAGE = Stage(
    name="detect",
    version=2,
    needs=("frames",),
    settings=DetectSettings,
    run=run,
    engine=choose_engine,
    title="Finding the person",
)
