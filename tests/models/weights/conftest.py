"""Every test here has a cache of its own."""

from pathlib import Path

import pytest

from tests.weights_site import cache, publish, site

__all__ = ["cache", "publish", "site"]


@pytest.fixture(autouse=True)
def own_cache(cache: Path) -> None:
    """See `cache`."""
