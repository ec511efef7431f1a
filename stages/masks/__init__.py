"""Stage masks: the subject's coverage of every pixel, from an engine or from the user's own pictures."""

from pathlib import Path
from typing import Any, Literal

from stages import engines
from stages.base import Device, Settings, Stage, Work
from stages.engines import RealEngine
from stages.masks.drawing import Subject

__all__ = ["STAGE", "MasksSettings", "Subject", "choose_engine", "run"]


class MasksSettings(Settings):
    """Who draws the masks.

    `file` holds the user's own: a folder of pictures, in the order of their names, or a video; one for every
    frame kept, or one for every frame of the video. It goes before any engine. `model` is SAM's, `weights` a
    checkpoint of that model in place of the published one.
    """

    engine: Literal["auto", "blazepose", "sam"] = "auto"
    model: Literal["vit_b", "vit_l", "vit_h"] = "vit_b"
    weights: Path | None = None
    device: Device = "auto"
    file: Path | None = None


def run(work: Work) -> dict[str, Any]:
    """Write `000000.png` ... and `masks.npz`.

    Raises:
        InputError: the user's masks do not fit, or no frame has a usable mask.
        StageError: the disk is full.
    """
    from stages.masks.writing import write_masks

    return write_masks(work)


def network(settings: MasksSettings) -> RealEngine | None:
    """Segment Anything, unless the user gives masks."""
    if settings.file is not None:
        return None
    weights = f"sam_{settings.model}" if settings.weights is None else None
    return RealEngine("sam", ("segment_anything", "torchvision"), weights, "blazepose")


def choose_engine(settings: MasksSettings) -> str:
    """The engine's name: "file" where the user gives masks, else that asked for, else the best."""
    return engines.choose_engine(settings.engine, network(settings), settings.device)


STAGE = Stage(
    name="masks",
    version=2,
    needs=("frames", "detect"),
    settings=MasksSettings,
    run=run,
    engine=choose_engine,
    real=network,
    title="Drawing the silhouette",
)
