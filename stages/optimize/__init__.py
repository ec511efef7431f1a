"""Stage optimize: learns the avatar and refines the motion, together."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from models import gpu
from models.avatar.settings import OptimiserSettings
from models.errors import InputError
from stages.base import Settings, Stage, Work


class OptimizeSettings(Settings, OptimiserSettings):
    """The `optimize` section of the configuration."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto: cuda where gsplat can run"
    )
    body: Path | None = Field(default=None, description="SMPL_NEUTRAL.pkl or .npz, for a motion of that body")


def engine(settings: OptimizeSettings) -> str:
    """The renderer that will run: gsplat where it can, numba on the CPU.

    Raises:
        InputError: CUDA is asked for where gsplat cannot run.
    """
    if settings.device == "cpu":
        return "numba"
    lack = gpu.lack()
    if lack is None:
        return "gsplat"
    if settings.device == "cuda":
        raise InputError(
            f"Stage optimize cannot run on CUDA: {lack.problem}.",
            f"{lack.mend[0].upper()}{lack.mend[1:]}; or use --device cpu.",
        )
    return "numba"


def _idle_gpu(work: Work) -> list[str]:
    """A warning where there is a GPU that nobody asked to leave alone, and it cannot be used."""
    if work.settings.device != "auto" or work.engine != "numba" or gpu.device() is None:
        return []
    lack = gpu.lack()
    return [f"the GPU lies idle: {lack.problem}; {lack.mend}"] if lack else []


def run(work: Work) -> dict[str, Any]:
    """Writes the avatar, the refined motion and the optimisation's history.

    Raises:
        InputError: the motion or the depth maps do not fit the clip.
        StageError: the GPU's memory is exhausted, or the earlier stages disagree.
    """
    from stages.optimize.learning import learn

    summary = learn(work)
    return {**summary, "warnings": [*_idle_gpu(work), *summary["warnings"]]}


STAGE = Stage(
    name="optimize",
    version=16,
    needs=("frames", "detect", "poses", "masks", "depth"),
    settings=OptimizeSettings,
    run=run,
    engine=engine,
    title="Learning avatar and motion together",
)
