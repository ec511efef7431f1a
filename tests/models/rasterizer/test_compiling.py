import pytest
from numba.core import caching

from models.rasterizer.compiling import compiled


def test_compiles_where_no_folder_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled(lambda x: x + 1)(1) == 2


def test_is_kept_where_a_folder_can_be_written() -> None:
    def successor(x: int) -> int:
        return x + 1

    assert compiled(successor).stats.cache_path
