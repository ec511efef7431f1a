from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData

from models.errors import InputError
from models.formats import Splats, read_ply, write_ply


def test_layout_is_the_248_bytes_that_importers_expect(tmp_path: Path, splats: Splats) -> None:
    write_ply(tmp_path / "a.ply", splats, comments=["rest pose"])
    header, body = (tmp_path / "a.ply").read_bytes().split(b"end_header\n", 1)
    lines = header.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert "comment rest pose" in lines
    assert "element vertex 50" in lines
    names = [line.split()[2] for line in lines if line.startswith("property")]
    assert all(line.split()[1] == "float" for line in lines if line.startswith("property"))
    assert names[:9] == ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    assert names[9:54] == [f"f_rest_{i}" for i in range(45)]
    assert names[54:] == ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
    assert len(body) == 50 * 248
    assert np.frombuffer(body, "<f4").reshape(50, 62)[:, :3] == pytest.approx(splats.means)


def test_values_follow_the_format(tmp_path: Path, splats: Splats) -> None:
    write_ply(tmp_path / "a.ply", splats)
    vertex = PlyData.read(str(tmp_path / "a.ply"))["vertex"]
    assert vertex["f_dc_1"] == pytest.approx((splats.colors[:, 1] - 0.5) / 0.28209479177387814, abs=1e-6)
    assert vertex["opacity"] == pytest.approx(np.log(splats.opacities / (1 - splats.opacities)), abs=1e-5)
    assert vertex["scale_2"] == pytest.approx(np.log(splats.scales[:, 2]), abs=1e-6)
    quaternions = np.stack([vertex[f"rot_{i}"] for i in range(4)], axis=1)
    assert np.linalg.norm(quaternions, axis=1) == pytest.approx(1, abs=1e-6)
    assert np.sum(quaternions * splats.rotations, axis=1) == pytest.approx(
        np.linalg.norm(splats.rotations, axis=1), rel=1e-5
    )
    assert not any(vertex[name].any() for name in ("nx", "ny", "nz", "f_rest_0", "f_rest_44"))


def test_reading_gives_back_what_was_written(tmp_path: Path, splats: Splats) -> None:
    write_ply(tmp_path / "a.ply", splats)
    back = read_ply(tmp_path / "a.ply")
    assert back.means == pytest.approx(splats.means)
    assert back.scales == pytest.approx(splats.scales, rel=1e-5)
    assert back.colors == pytest.approx(splats.colors, abs=1e-6)
    assert back.opacities == pytest.approx(splats.opacities, abs=1e-6)


def test_extreme_opacities_stay_finite(tmp_path: Path, splats: Splats) -> None:
    opacities = np.tile(np.float32([0, 1]), 25)
    write_ply(tmp_path / "a.ply", replace(splats, opacities=opacities))
    vertex = PlyData.read(str(tmp_path / "a.ply"))["vertex"]
    assert np.isfinite(vertex["opacity"]).all()
    assert read_ply(tmp_path / "a.ply").opacities == pytest.approx(opacities, abs=2e-6)


@pytest.mark.parametrize("field, bad", [("scales", 0.0), ("means", np.nan), ("rotations", 0.0)])
def test_what_the_file_cannot_hold_is_refused(tmp_path: Path, splats: Splats, field: str, bad: float) -> None:
    values = getattr(splats, field).copy()
    values[7] = bad
    with pytest.raises(ValueError):
        write_ply(tmp_path / "a.ply", replace(splats, **{field: values}))
    assert not (tmp_path / "a.ply").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a ply",
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 9\nproperty float x\nend_header\nab",
        b"ply\nformat binary_little_endian 1.0\nelement vertex 9223372036854775807\nproperty float x\n"
        b"end_header\n",
    ],
)
def test_unusable_files_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.ply"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.ply"):
        read_ply(path)
    with pytest.raises(InputError, match="no such file"):
        read_ply(tmp_path / "absent.ply")
