"""Stage depth: how far away every pixel is, from a network or from the user's own files; without, the depth
loss is off."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from stages.base import Settings, Stage, Work


class DepthSettings(Settings):
    """Who estimates depth.

    `file` is the user's own and goes before any engine. An npz: `depth` (T,h,w) in metres or `disparity`
    (T,h,w), the inverse depth of any scale and shift; 0, negative and non-finite values are unknown. Or a
    folder: PNGs of 16 bits, `png_scale` of whose steps are 1, or EXRs; `pictures` says which of the two they hold.
    """

    engine: Literal["auto", "none", "depth_anything"] = "auto"
    file: Path | None = None
    pictures: Literal["depth", "disparity"] = "depth"
    png_scale: float = Field(1000.0, gt=0, description="a PNG's steps in one metre")


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
