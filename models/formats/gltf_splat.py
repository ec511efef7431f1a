"""Gaussians in glTF: the extension KHR_gaussian_splatting, ratified by the Khronos Group.

A primitive of points with the attributes of the `ellipse` kernel: quaternions xyzw, linear standard
deviations, linear opacities, degree-0 spherical harmonics. Readers without the extension show coloured points
(COLOR_0). Axes are glTF's: Y up, which the caller sees to.
https://github.com/KhronosGroup/glTF, extensions/2.0/Khronos/KHR_gaussian_splatting
"""

from pathlib import Path

import numpy as np

from models.formats.cloud import SH_DEGREE_0, Splats, unit_quaternions
from models.formats.gltf import VERTICES, Glb, linear_light

EXTENSION = "KHR_gaussian_splatting"
_POINTS = 0


def write_gltf_splat(path: Path, splats: Splats) -> None:
    """Writes the Gaussians as one .glb of float32 attributes.

    Raises:
        ValueError: Gaussians that the file cannot hold; see `unit_quaternions`.
    """
    rotations = unit_quaternions(splats)
    opacities = np.clip(splats.opacities, 0, 1).astype(np.float32)
    glb = Glb({"extensionsUsed": [EXTENSION]})
    attributes = {
        "POSITION": glb.add(splats.means, VERTICES, bounds=True),
        "COLOR_0": glb.add(np.column_stack([linear_light(splats.colors), opacities]), VERTICES),
        f"{EXTENSION}:ROTATION": glb.add(np.roll(rotations, -1, axis=1), VERTICES),
        f"{EXTENSION}:SCALE": glb.add(splats.scales, VERTICES),
        f"{EXTENSION}:OPACITY": glb.add(opacities, VERTICES),
        f"{EXTENSION}:SH_DEGREE_0_COEF_0": glb.add((splats.colors - 0.5) / np.float32(SH_DEGREE_0), VERTICES),
    }
    primitive = {
        "mode": _POINTS,
        "attributes": attributes,
        "extensions": {EXTENSION: {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}},
    }
    glb.content |= {
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "avatar", "mesh": 0}],
        "meshes": [{"name": "avatar", "primitives": [primitive]}],
    }
    glb.write(path)
