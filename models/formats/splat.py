"""The `.splat` file of browser viewers: 32 bytes a Gaussian, no header, no view-dependent colour.

Little-endian: position (3 float32), standard deviations (3 float32), RGB and opacity (4 bytes), quaternion
wxyz (4 bytes, each 128 + 128 q). The most visible Gaussians come first: viewers begin before all are there.
"""

from pathlib import Path

import numpy as np

from models.formats.cloud import Splats, to_bytes, unit_quaternions

RECORD = np.dtype(
    [
        ("position", "<f4", 3),
        ("scale", "<f4", 3),
        ("color", "u1", 3),
        ("opacity", "u1"),
        ("rotation", "u1", 4),
    ]
)


def write_splat(path: Path, splats: Splats) -> None:
    """Writes the Gaussians, sorted by volume times opacity, the largest first.

    Colours, opacities and rotations are rounded to bytes: quaternions to about half a degree.

    Raises:
        ValueError: Gaussians that the file cannot hold; see `unit_quaternions`.
    """
    rotations = unit_quaternions(splats)
    order = np.argsort(-splats.scales.prod(axis=1, dtype=np.float64) * splats.opacities, kind="stable")
    records = np.zeros(len(splats), RECORD)
    records["position"] = splats.means[order]
    records["scale"] = splats.scales[order]
    records["color"] = to_bytes(255 * splats.colors[order])
    records["opacity"] = to_bytes(255 * splats.opacities[order])
    records["rotation"] = to_bytes(128 + 128 * rotations[order])
    path.write_bytes(records.tobytes())
