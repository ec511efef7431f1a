"""What BlazePose saw of one person through a clip."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.npz import read_stored

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Landmarks:
    """BlazePose's 33 landmarks in T frames, seen N times each (the picture turned and mirrored).

    Attributes:
        image: (N, T, 33, 3) x, y in pixels (pixel centres at +0.5) and visibility in [0, 1].
        world: (N, T, 33, 3) metres around the hips; x right, y down, z forward, as the camera.
        valid: (N, T) bool, where the person was seen; the rest of that row means nothing.
    """

    image: Array
    world: Array
    valid: NDArray[np.bool_]

    def save(self, path: Path) -> None:
        """Writes an npz."""
        with path.open("wb") as file:
            np.savez_compressed(file, image=self.image, world=self.world, valid=self.valid)

    @classmethod
    def load(cls, path: Path) -> "Landmarks":
        """Reads what `save` wrote; raises StageError where it is damaged."""
        data = read_stored(path, "image", "world", "valid")
        return cls(data["image"], data["world"], data["valid"])
