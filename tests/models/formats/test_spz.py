"""The .spz, decoded by the format's description told anew; tests/interop has its makers' own decoder."""

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.formats import Splats, write_ply, write_spz


def decoded(path: Path) -> Splats:
    content = gzip.decompress(path.read_bytes())
    assert content[:4] == b"NGSP"
    version, count, degree, bits, flags, reserved = struct.unpack("<IIBBBB", content[4:16])
    assert (version, degree, flags, reserved) == (3, 0, 0, 0)
    data = np.frombuffer(content, np.uint8, offset=16)
    assert len(data) == count * (9 + 1 + 3 + 3 + 4)
    places, opacity, color, scale, turns = np.split(data, np.cumsum([9 * count, count, 3 * count, 3 * count]))
    low = places.reshape(count, 3, 3).astype(np.int32)
    fixed = low[..., 0] | low[..., 1] << 8 | low[..., 2] << 16
    fixed = np.where(fixed >= 2**23, fixed - 2**24, fixed)
    words = turns.copy().view("<u4")
    quaternions = np.zeros((count, 4))  # xyzw
    for row, word in enumerate(words.tolist()):
        largest = word >> 30
        for component in reversed([one for one in range(4) if one != largest]):
            value = (word & 511) / 511 * np.sqrt(0.5)
            quaternions[row, component] = -value if word & 512 else value
            word >>= 10
        quaternions[row, largest] = np.sqrt(1 - (quaternions[row] ** 2).sum())
    coefficients = (color.reshape(count, 3) / 255 - 0.5) / 0.15
    return Splats(
        means=(fixed / 2**bits).astype(np.float32),
        rotations=np.roll(quaternions, 1, axis=1),
        scales=np.exp(scale.reshape(count, 3) / 16 - 10),
        colors=0.5 + 0.28209479 * coefficients,
        opacities=opacity / 255,
    )


def test_decoding_gives_back_what_was_written(tmp_path: Path, splats: Splats) -> None:
    write_spz(tmp_path / "a.spz", splats)
    back = decoded(tmp_path / "a.spz")
    assert back.means == pytest.approx(splats.means, abs=2**-13)
    assert np.abs(np.log(back.scales / splats.scales)).max() <= 1 / 32 + 1e-5
    assert back.colors == pytest.approx(splats.colors, abs=0.5 / 255 / 0.15 * 0.2821 + 1e-6)
    assert back.opacities == pytest.approx(splats.opacities, abs=0.5 / 255 + 1e-6)
    found, expected = (Rotation.from_quat(one.rotations, scalar_first=True) for one in (back, splats))
    assert np.degrees((found * expected.inv()).magnitude()).max() < 0.3


@pytest.mark.parametrize(
    "quaternion", [[1, 0, 0, 0], [-1, 0, 0, 0], [1, 1, 1, 1], [1, -1, 0, 0], [0, 0, 0, 1]]
)
def test_rotations_at_the_edges_of_the_packing(
    tmp_path: Path, splats: Splats, quaternion: list[float]
) -> None:
    write_spz(tmp_path / "a.spz", replace(splats, rotations=np.tile(np.float32(quaternion), (50, 1))))
    found = Rotation.from_quat(decoded(tmp_path / "a.spz").rotations, scalar_first=True)
    expected = Rotation.from_quat(quaternion, scalar_first=True)
    assert np.degrees((found * expected.inv()).magnitude()).max() < 0.3


def test_a_tenth_of_the_ply_and_the_same_twice(tmp_path: Path, splats: Splats) -> None:
    for name in ("a.spz", "b.spz"):
        write_spz(tmp_path / name, splats)
    write_ply(tmp_path / "a.ply", splats)
    assert (tmp_path / "a.spz").read_bytes() == (tmp_path / "b.spz").read_bytes()
    assert (tmp_path / "a.spz").stat().st_size < (tmp_path / "a.ply").stat().st_size / 8


def test_places_out_of_reach_are_refused(tmp_path: Path, splats: Splats) -> None:
    with pytest.raises(ValueError, match="2 km"):
        write_spz(tmp_path / "a.spz", replace(splats, means=splats.means + 3000))
