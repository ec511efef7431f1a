"""Batches that fit, without a GPU: its memory and its refusals are made up."""

from collections.abc import Sequence

import pytest
import torch

from models import devices, gpu
from models.devices import Batches, choose_device
from models.errors import InputError, StageError

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


class Card:
    """A GPU with `free` bytes; a network that takes `item` bytes an item and refuses more than `most`."""

    def __init__(self, free: int, item: int, most: int) -> None:
        self.free, self.item, self.most = free, item, most
        self.peak = 0
        self.batches: list[int] = []

    def process(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(len(batch))
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.peak = max(self.peak, len(batch) * self.item)
        return [2 * item for item in batch]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    made = Card(free=1000, item=40, most=1000)
    monkeypatch.setattr(devices, "_allocated", lambda device: 0)
    monkeypatch.setattr(devices, "_peak", lambda device: made.peak)
    monkeypatch.setattr(devices, "_free", lambda device: made.free)
    return made


def test_on_the_cpu_items_go_one_by_one_as_they_are_needed() -> None:
    taken = []

    def items() -> Sequence[int]:
        for item in range(3):
            taken.append(item)
            yield item

    results = Batches(CPU).map(items(), lambda batch: [10 * item for item in batch])
    assert next(results) == 0
    assert taken == [0]
    assert list(results) == [10, 20]


def test_on_the_cpu_so_many_as_the_network_likes() -> None:
    batches: list[int] = []
    process = lambda batch: batches.append(len(batch)) or batch  # noqa: E731
    assert list(Batches(CPU, on_cpu=4).map(range(10), process)) == list(range(10))
    assert batches == [4, 4, 2]


def test_the_first_item_tells_how_many_fit(card: Card) -> None:
    assert list(Batches(CUDA).map(range(50), card.process)) == [2 * i for i in range(50)]
    assert card.batches == [1, 20, 20, 9]  # 0.8 * 1000 / 40


def test_no_batch_is_larger_than_wanted_or_smaller_than_one(card: Card) -> None:
    list(Batches(CUDA, most=8).map(range(20), card.process))
    assert max(card.batches) == 8
    card.batches, card.free = [], 10
    list(Batches(CUDA).map(range(3), card.process))
    assert card.batches == [1, 1, 1]


def test_out_of_memory_halves_the_batch_and_loses_nothing(card: Card) -> None:
    card.most = 6
    notices: list[str] = []
    batches = Batches(CUDA, notices.append)
    assert list(batches.map(range(40), card.process)) == [2 * i for i in range(40)]
    assert card.batches == [1, 20, 10, *[5] * 7, 4]
    assert notices == [
        "the GPU's memory ran out; going on with 10 at once",
        "the GPU's memory ran out; going on with 5 at once",
    ]
    assert list(batches.map(range(5), card.process)) == [0, 2, 4, 6, 8]
    assert card.batches[-1] == 5


def test_too_little_memory_for_one_item_is_said(card: Card) -> None:
    card.most = 0
    with pytest.raises(StageError, match="one picture") as refused:
        list(Batches(CUDA).map(range(3), card.process))
    assert "--device cpu" in refused.value.next_step


def test_no_items_no_work(card: Card) -> None:
    assert list(Batches(CUDA).map([], card.process)) == []
    assert card.batches == []


def test_a_process_that_loses_results_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="0 results for 1 items"):
        list(Batches(CPU).map([1], lambda batch: []))


@pytest.mark.parametrize(
    ("asked", "card", "device"),
    [("auto", None, "cpu"), ("auto", "H1", "cuda"), ("cpu", "H1", "cpu"), ("cuda", "H1", "cuda")],
)
def test_the_device(asked: str, card: str | None, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "device", lambda: card)
    assert choose_device(asked).type == device


def test_cuda_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "device", lambda: None)
    with pytest.raises(InputError, match="no usable CUDA device"):
        choose_device("cuda")


def test_without_a_gpu_there_is_nothing_to_measure_or_release() -> None:
    gpu.forget_peak_memory()
    gpu.release()
    assert gpu.peak_memory() == 0 or torch.cuda.is_initialized()
