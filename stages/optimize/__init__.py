"""Stage optimize: learns the avatar and refines the motion, together."""

import ctypes
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from models.avatar.settings import OptimiserSettings
from models.errors import InputError
from stages.base import Settings, Stage, Work


class OptimizeSettings(Settings, OptimiserSettings):
    """The `optimize` section of the configuration."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto: cuda where there is one"
    )
    body: Path | None = Field(default=None, description="SMPL_NEUTRAL.pkl or .npz, for a motion of that body")


def engine(settings: OptimizeSettings) -> str:
    """The renderer that will run: gsplat on CUDA, numba on the CPU.

    Raises:
        InputError: CUDA is asked for where there is none.
    """
    if settings.device == "cpu":
        return "numba"
    if _cuda_is_available():
        return "gsplat"
    if settings.device == "cuda":
        raise InputError("There is no CUDA device here.", "Use --device auto or --device cpu.")
    return "numba"


def _cuda_is_available() -> bool:
    """Asks torch only where a driver is installed: loading torch takes seconds."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


def run(work: Work) -> dict[str, Any]:
    """Writes the avatar, the refined motion and the optimisation's history.

    Raises:
        InputError: the motion or the depth maps do not fit the clip.
        StageError: the GPU's memory is exhausted, or the earlier stages disagree.
    """
    from stages.optimize.learning import learn

    return learn(work)


STAGE = Stage(
    name="optimize",
    version=2,
    needs=("frames", "detect", "poses", "masks", "depth"),
    settings=OptimizeSettings,
    run=run,
    engine=engine,
    title="Learning avatar and motion together",
)
