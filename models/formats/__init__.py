"""Files that other programs read."""

from models.formats.ply import Splats, read_ply, write_ply

__all__ = ["Splats", "read_ply", "write_ply"]
