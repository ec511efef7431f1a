"""Files that other programs read."""

from models.formats.amass import is_amass, read_amass, write_amass
from models.formats.bvh import read_bvh, write_bvh
from models.formats.cloud import Splats
from models.formats.glb import SkinnedMesh, write_glb
from models.formats.gltf_splat import write_gltf_splat
from models.formats.ply import read_ply, write_ply
from models.formats.splat import write_splat
from models.formats.spz import write_spz

__all__ = [
    "SkinnedMesh",
    "Splats",
    "is_amass",
    "read_amass",
    "read_bvh",
    "read_ply",
    "write_amass",
    "write_bvh",
    "write_glb",
    "write_gltf_splat",
    "write_ply",
    "write_splat",
    "write_spz",
]
