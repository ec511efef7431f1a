from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.formats import Splats, write_gltf_splat
from tests.models.formats.glbs import ReadGlb

NAME = "KHR_gaussian_splatting"


def test_attributes_of_the_extension(tmp_path: Path, splats: Splats) -> None:
    write_gltf_splat(tmp_path / "a.glb", splats)
    read = ReadGlb(tmp_path / "a.glb")
    assert read.gltf.extensionsUsed == [NAME]
    primitive = read.gltf.meshes[0].primitives[0]
    assert primitive.mode == 0
    assert primitive.extensions == {NAME: {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}}
    found = read.attributes()
    assert found["POSITION"] == pytest.approx(splats.means)
    assert found[f"{NAME}:SCALE"] == pytest.approx(splats.scales)
    assert found[f"{NAME}:OPACITY"][:, 0] == pytest.approx(splats.opacities)
    quaternions = found[f"{NAME}:ROTATION"]
    assert np.linalg.norm(quaternions, axis=1) == pytest.approx(1, abs=1e-6)
    length = np.linalg.norm(splats.rotations, axis=1)
    assert quaternions[:, 3] == pytest.approx(splats.rotations[:, 0] / length, abs=1e-6)
    assert quaternions[:, 0] == pytest.approx(splats.rotations[:, 1] / length, abs=1e-6)
    coefficients = found[f"{NAME}:SH_DEGREE_0_COEF_0"]
    assert 0.5 + 0.28209479 * coefficients == pytest.approx(splats.colors, abs=1e-6)


def test_readers_without_it_see_coloured_points(tmp_path: Path, splats: Splats) -> None:
    grey = replace(splats, colors=np.full_like(splats.colors, 0.5))
    write_gltf_splat(tmp_path / "a.glb", grey)
    color = ReadGlb(tmp_path / "a.glb").attributes()["COLOR_0"]
    assert color[:, :3] == pytest.approx(0.214041, abs=1e-5)
    assert color[:, 3] == pytest.approx(splats.opacities)


@pytest.mark.parametrize("field, bad", [("scales", -1.0), ("means", np.inf), ("rotations", 0.0)])
def test_what_the_file_cannot_hold_is_refused(tmp_path: Path, splats: Splats, field: str, bad: float) -> None:
    values = getattr(splats, field).copy()
    values[7] = bad
    with pytest.raises(ValueError):
        write_gltf_splat(tmp_path / "a.glb", replace(splats, **{field: values}))
