import runpy
import sys
from pathlib import Path

import cv2
import pytest

from tests.stages.export.conftest import Inputs

SCRIPT = Path(__file__).parents[3] / "examples" / "make_readme_picture.py"


def test_the_picture_is_made_from_a_workspace(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "images" / "overview.jpg"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(inputs["frames"].parent), str(output)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    picture = cv2.imread(str(output))
    assert picture.shape[1] > 3 * picture.shape[0]
