"""Gaussians as every splat format stores them, in plain units."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float32]

SH_DEGREE_0 = 0.28209479177387814
"""The constant spherical harmonic: colour = 0.5 + SH_DEGREE_0 * f_dc."""


@dataclass(frozen=True)
class Splats:
    """Gaussians in plain units, float32.

    Attributes:
        means: (N, 3) metres.
        rotations: (N, 4) quaternions wxyz, of any length but zero.
        scales: (N, 3) standard deviations along the rotated axes, metres, positive.
        colors: (N, 3) RGB, normally in [0, 1].
        opacities: (N,) in [0, 1].
    """

    means: Array
    rotations: Array
    scales: Array
    colors: Array
    opacities: Array

    def __len__(self) -> int:
        return len(self.means)

    def turned(self, rotation: Rotation, shift: ArrayLike = (0.0, 0.0, 0.0)) -> "Splats":
        """The same Gaussians in other axes: p -> rotation p + shift (metres)."""
        means = rotation.apply(self.means) + np.asarray(shift, np.float64)
        axes = rotation * Rotation.from_quat(self.rotations, scalar_first=True)
        return replace(
            self,
            means=means.astype(np.float32),
            rotations=axes.as_quat(scalar_first=True).astype(np.float32),
        )


def unit_quaternions(splats: Splats) -> Array:
    """The rotations (N, 4) wxyz at length one, of Gaussians that a file can hold.

    Raises:
        ValueError: a scale that is not positive, a quaternion of length zero, or anything not finite.
    """
    values = (splats.means, splats.rotations, splats.scales, splats.colors, splats.opacities)
    if not all(np.isfinite(array).all() for array in values):
        raise ValueError("a Gaussian has a value that is not finite")
    length = np.linalg.norm(splats.rotations, axis=1, keepdims=True)
    if len(splats) and (splats.scales.min() <= 0 or length.min() == 0):
        raise ValueError("every scale must be positive and every quaternion of some length")
    return (splats.rotations / length).astype(np.float32)


def to_bytes(values: ArrayLike) -> NDArray[np.uint8]:
    """Numbers of 0 to 255 rounded to bytes, what lies outside brought to the nearest end."""
    return np.clip(np.rint(np.asarray(values, np.float64)), 0, 255).astype(np.uint8)
