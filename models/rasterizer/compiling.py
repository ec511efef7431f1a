"""How the embedded engine's loops are compiled."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable) -> Any:
    """numba's njit, kept on disk for the next process if numba finds a folder that it may write to.

    Numba looks beside the source, then in the user's cache folder, or in NUMBA_CACHE_DIR. It compiles anew
    when the function's own file changes, not when lanes.py or an imported constant does: who edits those must
    empty the folders __pycache__ of models/rasterizer and models/avatar.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}  # x / 0 is inf, not an exception
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no such folder
        return njit(**options)(function)
