"""Files that other programs read."""

from models.formats.amass import write_amass
from models.formats.bvh import write_bvh
from models.formats.ply import Splats, read_ply, write_ply

__all__ = ["Splats", "read_ply", "write_amass", "write_bvh", "write_ply"]
