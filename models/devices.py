"""Where a network runs, and how many pictures it takes at once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import torch

from models import gpu
from models.errors import InputError, StageError

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 64  # items at once: beyond this a large network is no faster
SHARE = 0.8  # of the free memory: what one item took does not grow quite in proportion


def choose_device(asked: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda"; auto is CUDA where there is a usable device.

    Raises:
        InputError: CUDA is asked for and not to be had.
    """
    if asked == "cpu":
        return torch.device("cpu")
    if gpu.device() is not None:
        return torch.device("cuda")
    if asked == "cuda":
        raise InputError("There is no usable CUDA device.", gpu.NEXT_STEP)
    return torch.device("cpu")


class Batches:
    """Runs a network over items in batches that fit into the device's memory.

    On a GPU the first item goes alone, and what it took tells how many fit at once. When memory runs out
    all the same, the batch is halved and the work goes on.

    Args:
        device: on which `process` works.
        notice: told in a sentence when a batch had to be halved.
        most: items at once on a GPU.
        on_cpu: items at once on the CPU, where more are rarely faster.
    """

    def __init__(
        self,
        device: torch.device,
        notice: Callable[[str], None] = lambda text: None,
        most: int = MOST,
        on_cpu: int = 1,
    ) -> None:
        self._device = device
        self._notice = notice
        self._most = most
        self._measured = device.type != "cuda"
        self.size = on_cpu if self._measured else 1

    def map(
        self, items: Iterable[Item], process: Callable[[Sequence[Item]], Iterable[Result]]
    ) -> Iterator[Result]:
        """What `process` gives for every item, in order; items are taken as they are needed.

        Args:
            items: such as pictures.
            process: from a batch of items to as many results; where it runs out of memory it is called again,
                with fewer.

        Raises:
            StageError: the memory does not suffice for one item.
        """
        source = iter(items)
        waiting: list[Item] = []
        while True:
            waiting += islice(source, max(0, self.size - len(waiting)))
            if not waiting:
                return
            batch = waiting[: self.size]
            results = self._attempt(batch, process)
            if results is None:
                self._halve()
                continue
            del waiting[: len(batch)]
            yield from results

    def _attempt(
        self, batch: Sequence[Item], process: Callable[[Sequence[Item]], Iterable[Result]]
    ) -> list[Result] | None:
        """The batch's results; None where the memory ran out."""
        before = 0 if self._measured else _allocated(self._device)
        try:
            results = list(process(batch))
        except torch.OutOfMemoryError:
            return None
        if len(results) != len(batch):
            raise ValueError(f"{len(results)} results for {len(batch)} items")
        if not self._measured:
            self._measured = True
            one = max(1, _peak(self._device) - before)
            self.size = max(1, min(self._most, int(SHARE * _free(self._device) / one)))
        return results

    def _halve(self) -> None:
        gpu.release()
        if self.size == 1:
            raise StageError(
                "The GPU's memory does not suffice for one picture.",
                "Close what else runs on it, take a smaller model, or use --device cpu.",
            )
        self.size //= 2
        self._measured = True
        self._notice(f"the GPU's memory ran out; going on with {self.size} at once")


def _allocated(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device)


def _peak(device: torch.device) -> int:
    """Bytes that tensors occupied at most since the stage began: no less than the batch took."""
    return torch.cuda.max_memory_allocated(device)


def _free(device: torch.device) -> int:
    """Bytes that new tensors may occupy: the device's, and what torch holds and does not use."""
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + held
