"""The engine "depth_anything"."""

from collections.abc import Iterator
from typing import Any

from models.depth.depth_anything import DepthAnything, load_depth_anything
from models.devices import Batches, choose_device
from models.weights import how_to_get, require
from stages.base import Work
from stages.depth import DepthSettings
from stages.depth.maps import Map, write_maps
from stages.frames import Frames

MOST = 32  # pictures at once: more are no faster even for the smallest network


def estimated_maps(work: Work) -> dict[str, Any]:
    """Write Depth Anything's maps of all frames.

    Raises:
        InputError: the network's files cannot be used.
        StageError: the disk is full, or the GPU's memory does not suffice.
    """
    frames, warnings = Frames.load(work.inputs["frames"]), list[str]()
    network = _load(work.settings)
    batches = Batches(network.device, warnings.append, MOST)

    def maps() -> Iterator[Map]:
        for index, values in enumerate(batches.map(frames.images(), network.estimate)):
            yield values
            work.progress(index + 1, len(frames))

    written = write_maps(work.output / "depth.npz", network.kind, maps(), len(frames), compact=True)
    return {
        "depth": network.kind,
        "size": [written.width, written.height],
        "known": round(written.known, 4),
        "warnings": warnings,
    }


def _load(settings: DepthSettings) -> DepthAnything:
    device = choose_device(settings.device)
    if settings.weights is not None:
        return load_depth_anything(
            settings.weights, device, "Give the folder of a Depth Anything model for transformers."
        )
    key = f"depth_anything_v2_{settings.model}"
    return load_depth_anything(require(key), device, f"{how_to_get(key)} --force")
