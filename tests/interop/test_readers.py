"""The files as their formats' makers read them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.interop.conftest import AskNode, Exported


def test_the_makers_of_spz_read_it(exported: Exported, ask_node: AskNode) -> None:
    told = ask_node("decode_spz.mjs", exported.path("spz"))
    splats = exported.content.splats(None, "y")
    found = {
        name: np.array(told[name]).reshape(len(splats), -1)
        for name in ("positions", "rotations", "scales", "alphas", "colors")
    }
    assert (told["count"], told["degree"]) == (len(splats), 0)
    assert found["positions"] == pytest.approx(splats.means, abs=2**-13)
    assert np.exp(found["scales"]) == pytest.approx(splats.scales, rel=0.033)
    assert 1 / (1 + np.exp(-found["alphas"][:, 0])) == pytest.approx(splats.opacities, abs=0.003)
    assert 0.5 + 0.28209479 * found["colors"] == pytest.approx(splats.colors, abs=0.004)
    turns = Rotation.from_quat(found["rotations"])
    away = turns * Rotation.from_quat(splats.rotations, scalar_first=True).inv()
    assert np.degrees(away.magnitude()).max() < 0.3


def test_khronos_finds_nothing_wrong_with_the_body(exported: Exported, ask_node: AskNode) -> None:
    assert ask_node("validate_gltf.mjs", exported.path("glb")) == []


def test_khronos_finds_nothing_wrong_with_the_gaussians(exported: Exported, ask_node: AskNode) -> None:
    """But that it does not know the extension yet, and therefore not its attributes' names."""
    said = ask_node("validate_gltf.mjs", exported.path("gltf-splat"))
    codes = {(message["code"], message["pointer"].split("/")[-1].split(":")[0]) for message in said}
    assert codes <= {
        ("UNSUPPORTED_EXTENSION", "0"),
        ("MESH_PRIMITIVE_INVALID_ATTRIBUTE", "KHR_gaussian_splatting"),
    }
