"""A clip's exported files, and the programs that read them; `make test-interop` installs these.

Without node, its packages, Blender's Python or Chromium the tests that need them skip, with the reason.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import BodyModel, Motion, load_embedded_body
from stages.export.content import Content
from stages.export.formats import FORMATS
from tests.models.formats.motions import some_motion
from tests.stages.export.conftest import avatar, body  # noqa: F401

HERE = Path(__file__).parent
BLENDER = Path(os.environ.get("HSPLAT_BLENDER", HERE / ".blender" / "bin" / "python"))
"""A Python that has bpy."""

AskNode = Callable[[str, Path], Any]
AskBlender = Callable[[Path, list[float]], Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)


@dataclass(frozen=True)
class Exported:
    """What was written, and what it was made of."""

    folder: Path
    content: Content

    def path(self, name: str) -> Path:
        return self.folder / FORMATS[name].file


@pytest.fixture(scope="session")
def painted(avatar: Avatar) -> Avatar:  # noqa: F811
    """The small avatar in colours that tell left from right, up from down and front from back."""
    low, high = avatar.means.min(0).values, avatar.means.max(0).values
    return replace(avatar, colors=0.1 + 0.8 * (avatar.means - low) / (high - low))


@pytest.fixture(scope="session")
def exported(
    tmp_path_factory: pytest.TempPathFactory,
    painted: Avatar,
    body: BodyModel,  # noqa: F811
) -> Exported:
    """Every format, of a clip of random poses at an odd rate."""
    folder = tmp_path_factory.mktemp("exported")
    motion: Motion = some_motion(body)
    assert motion.body == load_embedded_body().kind
    times = np.arange(len(motion)) / motion.fps
    shape = torch.from_numpy(motion.betas)
    rest, joints = body.shape(shape)
    subject = replace(painted, means=rest[::6].clone(), rest_joints=joints, betas=shape)
    content = Content(subject, motion, times, (120, 160), None)
    for one in FORMATS.values():
        if one.holds != "frame":
            one.write(folder / one.file, content, None, "y")
    return Exported(folder, content)


@pytest.fixture(scope="session")
def ask_node() -> AskNode:
    """`ask_node(script, file)` gives what a script of this folder says of a file."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules").is_dir():
        pytest.skip("needs node and the packages of tests/interop: make test-interop")

    def ask(script: str, path: Path) -> Any:
        return json.loads(_told([node, str(HERE / script), str(path)]))

    return ask


@pytest.fixture(scope="session")
def ask_blender(tmp_path_factory: pytest.TempPathFactory) -> AskBlender:
    """`ask_blender(file, moments)` gives joints and vertices as `blender_poses.py` says."""
    if not BLENDER.exists():
        pytest.skip("needs Blender's Python package: make test-interop")
    folder = tmp_path_factory.mktemp("blender")

    def ask(path: Path, moments: list[float]) -> Any:
        output = folder / f"{path.name}.json"
        call = [BLENDER, "-I", HERE / "blender_poses.py", path, json.dumps(moments), output]
        _told([str(word) for word in call])
        return json.loads(output.read_text())

    return ask


def _told(call: list[str]) -> str:
    done = subprocess.run(call, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
