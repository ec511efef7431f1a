"""What the ways of drawing masks share: where the subject is, and what each gives back."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.npz import read_stored

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Subject:
    """Where the chosen person is: (T, 4) boxes x0 y0 x1 y1 in pixels, and (T,) whether they are seen."""

    boxes: NDArray[np.float64]
    valid: NDArray[np.bool_]

    @classmethod
    def load(cls, folder: Path) -> "Subject":
        """Read it from the folder that stage detect published; raises StageError where it is damaged."""
        stored = read_stored(folder / "subject.npz", "boxes", "valid")
        return cls(stored["boxes"].astype(np.float64), stored["valid"].astype(bool))


@dataclass(frozen=True)
class Drawing:
    """What an engine gives.

    Attributes:
        masks: one for every frame, uint8 (H, W) coverage.
        facts: for the manifest's summary.
        prepared: pictures that were worked on before the first mask comes, in the progress that was told.
    """

    masks: Iterator[Mask]
    facts: dict[str, Any]
    prepared: int = 0


def nobody() -> InputError:
    """What the user is told where no engine finds the person."""
    return InputError("No frame has a usable mask of the person.", "Film the person whole and well lit.")
