"""Each GPU of a machine for one worker of a call at a time."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from models import gpu
from pipeline.lock import InUse, Lock

_PAUSE = 0.5  # seconds between looks at what the others hold


@contextmanager
def taking_gpu(locks: Path, count: int, preferred: int, waiting: Callable[[], None]) -> Iterator[int]:
    """Waits for a free GPU and makes it this process's current one; gives its index.

    Luigi's scheduler counts the GPUs of all machines together, so it may send more work here than this
    machine has GPUs for while another's are free.

    Args:
        locks: a folder that the workers of this machine share.
        count: as many GPUs are here.
        preferred: which to try first, modulo `count`, so that a process mostly stays with one.
        waiting: called once where none is free.
    """
    told = False
    while True:
        for index in ((preferred + offset) % count for offset in range(count)):
            with ExitStack() as held:
                try:
                    held.enter_context(Lock(locks / f"gpu-{index}.lock"))
                except InUse:
                    continue
                gpu.choose(index)
                yield index
                return
        if not told:
            waiting()
            told = True
        time.sleep(_PAUSE)
