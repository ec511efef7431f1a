"""Downloadable weights: the table of them, and where they lie on this machine. Loads no torch."""

from models.weights.cache import command, content_hash, find, folder, how_to_get, require
from models.weights.install import add, fetch
from models.weights.table import TABLE, Remote, Weights

__all__ = [
    "TABLE",
    "Remote",
    "Weights",
    "add",
    "command",
    "content_hash",
    "fetch",
    "find",
    "folder",
    "how_to_get",
    "require",
]
