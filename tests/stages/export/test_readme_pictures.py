import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from stages.base import Work
from stages.export import STAGE, ExportSettings
from tests.stages.export.conftest import FRAMES, Inputs

SCRIPT = Path(__file__).parents[3] / "examples" / "make_readme_pictures.py"


def test_the_pictures_are_made_from_a_workspace(inputs: Inputs, tmp_path: Path) -> None:
    pytest.importorskip("playwright", reason="needs the Python package playwright")
    if not shutil.which("chromium"):
        pytest.skip("needs chromium, which is not installed")
    for name, folder in inputs.items():
        (tmp_path / name).symlink_to(folder)
    export = tmp_path / "export"
    export.mkdir()
    settings = ExportSettings(video_height=64, turntable_frames=4, video_frames=2)
    STAGE.run(Work(inputs, export, export, settings, "numba"))
    command = [sys.executable, str(SCRIPT), str(tmp_path), str(tmp_path / "images")]
    subprocess.run(command, check=True, timeout=120, env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])})
    moving, animation = cv2.imreadanimation(str(tmp_path / "images" / "overview.webp"))
    assert moving
    assert len(animation.frames) == FRAMES - 1
    assert animation.frames[0].shape[1] > 3 * animation.frames[0].shape[0]
    assert not np.array_equal(animation.frames[0], animation.frames[4])
    assert cv2.imread(str(tmp_path / "images" / "report.webp")).shape[1] == 2000
