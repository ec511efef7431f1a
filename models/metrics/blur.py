"""How blurred a picture is, without a sharp one to compare it with."""

import cv2
import numpy as np
from numpy.typing import NDArray

_LENGTH = 9  # pixels of the mean that the picture is blurred with once more


def blur_effect(grey: NDArray[np.uint8]) -> float | None:
    """The no-reference blur metric of Crete, Dolmiere, Ladret and Nicolas ("The blur effect", 2007).

    A sharp picture loses most of its differences between neighbouring pixels when it is blurred once more;
    one that is blurred already loses few. The worse of both directions counts, so motion blur does, too.

    Args:
        grey: (H, W).

    Returns:
        From 0, sharp, to 1: about 0.3 for sharp video, above 0.5 where fine detail is gone. None for a
        picture without any differences, or smaller than the blur.
    """
    if min(grey.shape) <= _LENGTH:
        return None
    kept = [_kept(grey.astype(np.float32), axis) for axis in (0, 1)]
    known = [share for share in kept if share is not None]
    return max(known) if known else None


def _kept(grey: NDArray[np.float32], axis: int) -> float | None:
    """Share of the differences along an axis that outlive a blur along it."""
    size = (1, _LENGTH) if axis == 0 else (_LENGTH, 1)
    differences, remaining = (np.abs(np.diff(a, axis=axis)) for a in (grey, cv2.blur(grey, size)))
    total = float(differences.sum())
    return 1 - float(np.maximum(differences - remaining, 0).sum()) / total if total else None
