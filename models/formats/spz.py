"""Niantic's `.spz`, version 3: a gzip stream of quantised Gaussians, about a tenth of the PLY.

A header of 16 bytes, then one attribute after the other for all Gaussians: positions (24-bit fixed point),
opacities, colours, scales (a byte each), rotations (32 bits: the three smaller components of the quaternion).
Axes are x right, y up, z back, as in OpenGL. Version 4, of zstd streams, is younger than most readers. Layout
and constants after the format's public description, https://github.com/nianticlabs/spz.
"""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.formats.cloud import SH_DEGREE_0, Array, Splats, to_bytes, unit_quaternions

MAGIC, VERSION = 0x5053474E, 3
FRACTION_BITS = 12
"""Positions are whole multiples of 2^-12 m, a quarter of a millimetre."""
COLOR_SCALE = 0.15
"""A colour's byte is 255 (0.5 + 0.15 f_dc): wider than what can be displayed."""
SCALE_OFFSET, SCALE_STEPS = 10.0, 16.0
"""A scale's byte is 16 (10 + ln s): steps of 6 %."""
_LARGEST = np.sqrt(0.5)  # none but the largest component of a unit quaternion is above it
_COMPONENT_STEPS = 511


def write_spz(path: Path, splats: Splats) -> None:
    """Writes the Gaussians; every value is rounded as the module says.

    Raises:
        ValueError: Gaussians that the file cannot hold: see `unit_quaternions`, or 2 km from the origin.
    """
    rotations = unit_quaternions(splats)
    header = struct.pack("<IIIBBBB", MAGIC, VERSION, len(splats), 0, FRACTION_BITS, 0, 0)
    parts = (
        _fixed_point(splats.means),
        to_bytes(255 * splats.opacities),
        to_bytes(255 * (0.5 + COLOR_SCALE * (splats.colors - 0.5) / SH_DEGREE_0)),
        to_bytes(SCALE_STEPS * (SCALE_OFFSET + np.log(splats.scales))),
        _three_smaller(rotations),
    )
    content = header + b"".join(part.tobytes() for part in parts)
    path.write_bytes(gzip.compress(content, mtime=0))


def _fixed_point(means: Array) -> NDArray[np.uint8]:
    """(N, 3, 3) the low three bytes of each coordinate, the lowest first."""
    fixed = np.rint(np.asarray(means, np.float64) * 2**FRACTION_BITS)
    if (np.abs(fixed) >= 2**23).any():
        raise ValueError("a Gaussian lies 2 km or more from the origin")
    return fixed.astype("<i4", order="C").view(np.uint8).reshape(*means.shape, 4)[..., :3]


def _three_smaller(quaternions: Array) -> NDArray[np.uint32]:
    """(N,) which of x, y, z, w is largest (2 bits), then the others in order: sign and 9 bits each."""
    xyzw = np.roll(np.asarray(quaternions, np.float64), -1, axis=1)
    largest = np.abs(xyzw).argmax(axis=1)
    signs = np.where(np.take_along_axis(xyzw, largest[:, None], axis=1) < 0, -1, 1)
    packed = largest.astype(np.uint32)
    for component in range(4):
        value = signs[:, 0] * xyzw[:, component]
        steps = np.rint(_COMPONENT_STEPS * np.minimum(np.abs(value) / _LARGEST, 1)).astype(np.uint32)
        with_it = (packed << 10) | ((value < 0).astype(np.uint32) << 9) | steps
        packed = np.where(largest == component, packed, with_it)
    return packed.astype("<u4")
