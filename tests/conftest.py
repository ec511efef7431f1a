"""Fixtures for all tests; each finds a machine without downloaded weights, whatever lies in the cache."""

import os
from collections.abc import Iterator

import pytest

pytest_plugins = ["tests.browser"]


@pytest.fixture(autouse=True, scope="session")
def no_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "HSPLAT_WEIGHTS", str(tmp_path_factory.mktemp("machine") / "weights"))
        yield
