"""Downloadable weights: the table of them, and where they lie on this machine. Loads no torch."""

from models.weights.cache import content_hash, find, folder, how_to_get, require
from models.weights.table import TABLE, Remote, Weights

__all__ = ["TABLE", "Remote", "Weights", "content_hash", "find", "folder", "how_to_get", "require"]
