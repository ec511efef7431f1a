"""Bounds on the memory that decoding a file may take, whatever the file says."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DECODER = 4 * 2**30
"""Bytes beyond what a process has: reference pictures of 8192x8192 pixels, several times over."""


@contextmanager
def bounded_memory(more: int = DECODER) -> Iterator[None]:
    """In the block this process can take only so many bytes more; then allocations fail.

    It holds for all threads. Only Linux can say how much there is already; elsewhere there is no bound.
    """
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = _address_space() + more
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def bound_child(process: subprocess.Popen[bytes], most: int = DECODER) -> None:
    """The child can take only so many bytes; where the system knows no such bound, as many as it likes."""
    if sys.platform == "linux":
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_AS)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (most, most))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    return pages * resource.getpagesize()
