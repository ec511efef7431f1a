"""depth.npz, as this stage writes it and later ones read it."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.npz import read_stored
from stages.disk import full_disk_told

Map = NDArray[np.float32]
KINDS = ("depth", "disparity")
STEPS = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class Written:
    """What went into the file: the maps' size, and the share of their pixels that are known."""

    width: int
    height: int
    known: float


def write_maps(path: Path, kind: str, maps: Iterable[Map], count: int, compact: bool) -> Written:
    """Write maps one after the other, so that they need not fit into memory.

    Args:
        kind: "depth" in metres or "disparity".
        maps: `count` of (h, w), all of one size; 0 = unknown.
        compact: 16 bits a value, in steps of a 65535th of each map's largest; so no value is wrong by more
            than a 131070th of that: for 20 m, 0.2 mm. Else float32.

    Raises:
        StageError: the disk is full.
    """
    scales = np.ones(count, np.float32)
    known, shape = 0.0, (0, 0)
    with full_disk_told(path.parent), zipfile.ZipFile(path, "w") as archive:
        with archive.open(f"{kind}.npy", "w", force_zip64=True) as stream:
            for index, values in enumerate(maps):
                if index == 0:
                    shape = values.shape
                    _write_header(stream, (count, *shape), np.uint16 if compact else np.float32)
                if compact:
                    scales[index] = max(float(values.max()), 1e-12) / STEPS
                    stream.write(np.rint(values / scales[index]).astype("<u2").tobytes())
                else:
                    stream.write(values.astype("<f4").tobytes())
                known += float((values > 0).mean()) / count
        if compact:
            with archive.open("scale.npy", "w") as stream:
                np.lib.format.write_array(stream, scales)
    return Written(shape[1], shape[0], known)


def _write_header(stream: Any, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    np.lib.format.write_array_header_1_0(
        stream, {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": shape}
    )


def read_maps(path: Path, count: int) -> dict[str, Map]:
    """The maps (T,h,w) under the name of their kind; nothing where there is no file.

    Raises:
        InputError: they are not `count`.
    """
    if not path.exists():
        return {}
    data = read_stored(path)
    found = {kind: data[kind] for kind in KINDS if kind in data}
    scale = data.get("scale")
    for kind, values in found.items():
        if values.ndim != 3 or len(values) != count:
            raise InputError(
                f"{path}: `{kind}` has shape {values.shape}, expected ({count}, h, w).",
                "Depth given with --depth needs one map for every frame that is kept.",
            )
    if scale is None:
        return found
    return {kind: values * scale[:, None, None] for kind, values in found.items()}
