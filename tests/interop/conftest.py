"""A clip's exported files, and the programs that read them; `make test-interop` installs these.

Without node, its packages, Blender's Python or Chromium the tests that need them skip, with the reason.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import BodyModel, load_embedded_body
from stages.export.content import Content
from stages.export.formats import FORMATS
from tests.models.formats.motions import some_motion

HERE = Path(__file__).parent
BLENDER = Path(os.environ.get("HSPLAT_BLENDER", HERE / ".blender" / "bin" / "python"))
"""A Python that has bpy."""
GAUSSIANS = 12_000

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


def painted(body: BodyModel, betas: torch.Tensor) -> Avatar:
    """Gaussians all over a body, in colours that tell left from right, up from down and front from back."""
    vertices, joints = body.shape(betas)
    corners = vertices[body.faces]
    area = (
        torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=1).double()
    )
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(area), GAUSSIANS, p=(area / area.sum()).numpy())
    share = torch.from_numpy(rng.dirichlet([1, 1, 1], GAUSSIANS)).float()[..., None]
    means = (share * corners[chosen]).sum(1)
    quaternions = torch.from_numpy(rng.normal(size=(GAUSSIANS, 4))).float()
    low, high = means.min(0).values, means.max(0).values
    return Avatar(
        means=means,
        quaternions=quaternions,
        log_scales=torch.tensor([0.012, 0.009, 0.006]).log().expand(GAUSSIANS, 3).clone(),
        opacity_logits=torch.full((GAUSSIANS,), 2.0),
        colors=0.1 + 0.5 * (means - low) / (high - low),
        weights=(share * body.weights[body.faces][chosen]).sum(1),
        rest_joints=joints,
        parents=torch.tensor(body.parents),
        betas=betas,
        body=body.kind,
        coverage=torch.ones(GAUSSIANS),
    )


@pytest.fixture(scope="session")
def body() -> BodyModel:
    return load_embedded_body()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, body: BodyModel) -> Exported:
    """Every format, of a clip of random poses at an odd rate."""
    folder = tmp_path_factory.mktemp("exported")
    motion = some_motion(body)
    avatar = painted(body, torch.from_numpy(motion.betas))
    times = np.arange(len(motion)) / motion.fps
    content = Content(avatar, motion, times, (120, 160), None)
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
