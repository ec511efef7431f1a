import pytest

from stages.export.report import duration, size


@pytest.mark.parametrize(
    "count, words",
    [(17, "17 bytes"), (2048, "2 KiB"), (1015 * 2**20, "1015 MiB"), (1.25 * 2**30, "1.25 GiB")],
)
def test_sizes_read_well(count: int, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(
    "seconds, words", [(0.26, "0.3 s"), (61.5, "62 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words
