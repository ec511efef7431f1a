"""Stage depth: how far away every pixel is, from a network or from the user's own files; without, the depth
loss is off."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from stages import engines
from stages.base import Device, Settings, Stage, Work
from stages.engines import RealEngine

Model = Literal[
    "small", "base", "large", "metric_indoor_small", "metric_indoor_base", "metric_indoor_large",
    "metric_outdoor_small", "metric_outdoor_base", "metric_outdoor_large",
]  # fmt: skip


class DepthSettings(Settings):
    """Who estimates depth.

    `file` is the user's own and goes before any engine. An npz: `depth` (T,h,w) in metres or `disparity`
    (T,h,w), the inverse depth of any scale and shift; 0, negative and non-finite values are unknown. Or a
    folder: PNGs of 16 bits, `png_scale` of whose steps are 1, or EXRs; `pictures` says which of the two they
    hold. `model` is of Depth Anything V2; `weights` a folder with another one, or the name of one in Hugging
    Face's own cache.
    """

    engine: Literal["auto", "none", "depth_anything"] = "auto"
    model: Model = "small"
    weights: Path | None = None
    device: Device = "auto"
    file: Path | None = None
    pictures: Literal["depth", "disparity"] = "depth"
    png_scale: float = Field(1000.0, gt=0, description="a PNG's steps in one metre")

    @field_validator("weights", mode="before")
    @classmethod
    def _folder(cls, value: Any) -> Any:
        """Where a model's name is given, the folder of the cache that holds it."""
        if not isinstance(value, str) or not re.fullmatch(r"[\w.-]+/[\w.-]+", value) or Path(value).exists():
            return value
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(value, "config.json")
        if not isinstance(found, str):
            raise ValueError("is neither a folder nor in Hugging Face's cache; nothing is downloaded")
        return Path(found).parent


def run(work: Work) -> dict[str, Any]:
    """Write `depth.npz`, or nothing where the engine is "none".

    Raises:
        InputError: the user's file cannot be used.
        StageError: the disk is full.
    """
    return ENGINES[work.engine](work)


def _none(work: Work) -> dict[str, Any]:
    return {"depth": "none", "warnings": ["no depth maps: the depth loss is off"]}


def _own(work: Work) -> dict[str, Any]:
    from stages.depth.own import own_maps

    return own_maps(work)


def _estimated(work: Work) -> dict[str, Any]:
    from stages.depth.estimated import estimated_maps

    return estimated_maps(work)


ENGINES = {"none": _none, "file": _own, "depth_anything": _estimated}


def network(settings: DepthSettings) -> RealEngine | None:
    """Depth Anything, unless the user gives maps."""
    if settings.file is not None:
        return None
    weights = f"depth_anything_v2_{settings.model}" if settings.weights is None else None
    return RealEngine("depth_anything", ("transformers", "torchvision"), weights, "none")


def choose_engine(settings: DepthSettings) -> str:
    """The engine's name: "file" where the user gives maps, else that asked for, else the best."""
    return engines.choose_engine(settings.engine, network(settings), settings.device)


STAGE = Stage(
    name="depth",
    version=2,
    needs=("frames",),
    settings=DepthSettings,
    run=run,
    engine=choose_engine,
    real=network,
    title="Estimating depth",
)
