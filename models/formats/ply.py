"""The PLY of 3D Gaussian splatting (Kerbl et al. 2023), as its original code writes it.

Binary little-endian, one `vertex` of 62 float32: position, normal (zeros), `f_dc` (degree-0 spherical
harmonics), 45 `f_rest` (higher degrees, zeros: this project's colours do not depend on the view), opacity as
a logit, log scales and a unit quaternion wxyz. Some importers refuse any shorter vertex.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyElement, PlyElementParseError, PlyHeaderParseError
from scipy.special import expit, logit

from models.errors import InputError
from models.formats.cloud import SH_DEGREE_0, Array, Splats, unit_quaternions

PROPERTIES = (
    *("x", "y", "z", "nx", "ny", "nz"),
    *(f"f_dc_{i}" for i in range(3)),
    *(f"f_rest_{i}" for i in range(45)),
    "opacity",
    *(f"scale_{i}" for i in range(3)),
    *(f"rot_{i}" for i in range(4)),
)

# Keeps logits finite: opacities of exactly 0 or 1 would be infinite in the file.
_OPACITY_MARGIN = 1e-6


def write_ply(path: Path, splats: Splats, comments: Sequence[str] = ()) -> None:
    """Writes the Gaussians in the 62-float layout; `comments` go into the header.

    Raises:
        ValueError: arrays of unequal length, or values that the file cannot hold (a scale that is not
            positive, a quaternion of length zero, anything not finite).
    """
    count = len(splats)
    rotations = unit_quaternions(splats)
    opacity = np.clip(splats.opacities.astype(np.float64), _OPACITY_MARGIN, 1 - _OPACITY_MARGIN)
    columns = [
        splats.means,
        np.zeros((count, 3)),
        (splats.colors - 0.5) / SH_DEGREE_0,
        np.zeros((count, 45)),
        logit(opacity)[:, None],
        np.log(splats.scales),
        rotations,
    ]
    values = np.ascontiguousarray(np.concatenate(columns, axis=1), dtype="<f4")
    vertices = values.view([(name, "<f4") for name in PROPERTIES])[:, 0]
    element = PlyElement.describe(vertices, "vertex")
    PlyData([element], byte_order="<", comments=list(comments)).write(str(path))


def read_ply(path: Path) -> Splats:
    """Reads the Gaussians of a splatting PLY; normals and view-dependent colour are left out.

    Raises:
        InputError: the file is missing, damaged or not a splatting PLY.
    """
    next_step = "Give a PLY file as 3D Gaussian splatting programs write it."
    try:
        vertices = PlyData.read(str(path))["vertex"]
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file", next_step) from error
    except (
        OSError,
        LookupError,
        ValueError,
        OverflowError,
        PlyHeaderParseError,
        PlyElementParseError,
    ) as error:
        raise InputError(f"{path}: not a readable PLY file ({error})", next_step) from error
    present = {one.name for one in vertices.properties}
    missing = [name for name in PROPERTIES if not name.startswith(("n", "f_rest")) and name not in present]
    if missing:
        raise InputError(f"{path}: a PLY file, but its vertices lack {', '.join(missing)}", next_step)

    def columns(prefix: str, count: int) -> Array:
        stacked = np.stack([vertices[f"{prefix}{i}"] for i in range(count)], axis=1)
        return stacked.astype(np.float32)

    return Splats(
        means=np.stack([vertices[axis] for axis in "xyz"], axis=1).astype(np.float32),
        rotations=columns("rot_", 4),
        scales=np.exp(columns("scale_", 3)),
        colors=0.5 + np.float32(SH_DEGREE_0) * columns("f_dc_", 3),
        opacities=expit(np.asarray(vertices["opacity"], np.float32)),
    )
