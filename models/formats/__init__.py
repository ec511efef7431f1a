"""Files that other programs read."""

from models.formats.amass import is_amass, read_amass, write_amass
from models.formats.bvh import read_bvh, write_bvh
from models.formats.ply import Splats, read_ply, write_ply

__all__ = [
    "Splats",
    "is_amass",
    "read_amass",
    "read_bvh",
    "read_ply",
    "write_amass",
    "write_bvh",
    "write_ply",
]
