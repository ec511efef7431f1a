"""Stage poses: the subject's body pose in every frame, from an engine or from the user's own motion file."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from stages import engines
from stages.base import Device, Settings, Stage, Work
from stages.engines import RealEngine


class PosesSettings(Settings):
    """Who finds the poses.

    `file` is the user's own motion file, with one pose for every frame kept or for every frame of the
    video; it goes before any engine. `body` is the user's SMPL model, in place of the embedded body.
    """

    engine: Literal["auto", "hmr2", "blazepose"] = "auto"
    device: Device = "auto"
    file: Path | None = None
    body: Path | None = None
    height: float | None = Field(None, ge=0.5, le=2.8, description="the person's, in metres, where known")
    steps: int = Field(300, ge=20, le=10_000, description="of the fit to the landmarks")


def network(settings: PosesSettings) -> RealEngine | None:
    """HMR 2.0, unless the user brings the motion."""
    return None if settings.file is not None else RealEngine("hmr2", (), "hmr2", "blazepose")


def choose_engine(settings: PosesSettings) -> str:
    """The engine that will run; "file" where the user brings the motion."""
    return engines.choose_engine(settings.engine, network(settings), settings.device)


def run(work: Work) -> dict[str, Any]:
    """Write `motion.npz`.

    Raises:
        InputError: the user's motion or body, or the weights, cannot be used.
        StageError: the disk is full, or the network has nothing to say.
    """
    from stages.poses.fitting import find_poses

    return find_poses(work)


STAGE = Stage(
    name="poses",
    version=4,
    needs=("frames", "detect"),
    settings=PosesSettings,
    run=run,
    engine=choose_engine,
    title="Finding the poses",
    real=network,
)
