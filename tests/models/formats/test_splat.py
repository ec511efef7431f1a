from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.formats import Splats, write_splat


def test_records_of_32_bytes(tmp_path: Path, splats: Splats) -> None:
    write_splat(tmp_path / "a.splat", splats)
    content = (tmp_path / "a.splat").read_bytes()
    assert len(content) == 32 * 50
    floats = np.frombuffer(content, "<f4").reshape(50, 8)[:, :6]
    tail = np.frombuffer(content, "u1").reshape(50, 32)[:, 24:]
    order = np.argsort(-splats.scales.prod(axis=1) * splats.opacities)
    assert floats[:, :3] == pytest.approx(splats.means[order])
    assert floats[:, 3:] == pytest.approx(splats.scales[order])
    assert tail[:, :3] / 255 == pytest.approx(splats.colors[order], abs=0.5 / 255 + 1e-6)
    assert tail[:, 3] / 255 == pytest.approx(splats.opacities[order], abs=0.5 / 255 + 1e-6)
    found = Rotation.from_quat((tail[:, 4:].astype(float) - 128) / 128, scalar_first=True)
    expected = Rotation.from_quat(splats.rotations[order], scalar_first=True)
    assert np.degrees((found * expected.inv()).magnitude()).max() < 1.0


def test_values_beyond_a_byte_stay_at_its_ends(tmp_path: Path, splats: Splats) -> None:
    colors = np.tile(np.float32([-0.5, 1.5, 0.5]), (50, 1))
    write_splat(tmp_path / "a.splat", replace(splats, colors=colors, rotations=np.eye(4)[np.zeros(50, int)]))
    tail = np.frombuffer((tmp_path / "a.splat").read_bytes(), "u1").reshape(50, 32)[:, 24:]
    assert (tail[:, :3] == [0, 255, 128]).all()
    assert (tail[:, 4:] == [255, 128, 128, 128]).all()  # w = 1 does not wrap round


def test_a_scale_of_zero_is_refused(tmp_path: Path, splats: Splats) -> None:
    with pytest.raises(ValueError, match="positive"):
        write_splat(tmp_path / "a.splat", replace(splats, scales=0 * splats.scales))
    assert not (tmp_path / "a.splat").exists()
