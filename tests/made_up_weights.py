"""Weights that are none, put into the cache as if they had been fetched."""

from models.weights import TABLE
from models.weights.cache import installing


def install(key: str, content: bytes = b"numbers") -> None:
    """Fills a row's place in the cache with files of that content."""
    row = TABLE[key]
    with installing(row, "test") as home:
        for name in row.files:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(content)
