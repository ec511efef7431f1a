"""The embedded engine's threads, an ordinary pool since the kernels release Python's lock, and its memory."""

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

import numpy as np
import numpy.typing as npt

_count = 0


def num_threads() -> int:
    """How many threads the embedded engine uses: as set, else OMP_NUM_THREADS, else all usable cores."""
    return _count or _default_count()


def set_num_threads(count: int) -> None:
    """Choose how many threads the embedded engine uses. Results do not depend on it.

    Raises:
        ValueError: if count is not positive.
    """
    global _count
    if count < 1:
        raise ValueError(f"the number of threads must be at least 1, not {count}")
    _count = count


def _default_count() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool(count: int, process: int) -> ThreadPoolExecutor:
    """Helpers, kept; by process, since a forked one does not inherit its parent's threads."""
    return ThreadPoolExecutor(count, thread_name_prefix="rasterizer")


def share(work: Callable[[int, int], None], bounds: list[int]) -> None:
    """Call work(bounds[i], bounds[i + 1]) for every i; this thread and helpers each take the next part."""
    parts = iter(list(itertools.pairwise(bounds)))  # a list's iterator may be shared by threads

    def take_parts() -> None:
        for first, last in parts:
            work(first, last)

    helper_count = min(num_threads(), len(bounds) - 1) - 1
    helpers = [_pool(helper_count, os.getpid()).submit(take_parts) for _ in range(helper_count)]
    try:
        take_parts()
    finally:
        wait(helpers)
    for helper in helpers:
        helper.result()


class _Scratch(threading.local):
    """Memory kept from call to call, for fresh memory costs a page fault every 4 KB; one for each thread."""

    def __init__(self) -> None:
        self.kept: dict[str, npt.NDArray[np.float32]] = {}

    def empty(self, name: str, rows: int, columns: int) -> npt.NDArray[np.float32]:
        if name not in self.kept or self.kept[name].size < rows * columns:
            self.kept[name] = np.empty(rows * columns * 5 // 4, np.float32)  # room to grow into
        return self.kept[name][: rows * columns].reshape(rows, columns)

    def zeros(self, name: str, rows: int, columns: int) -> npt.NDArray[np.float32]:
        array = self.empty(name, rows, columns)
        array[:] = 0
        return array


scratch = _Scratch()
