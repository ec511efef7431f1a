"""The chain with each engine that finds poses, HMR 2.0 in small: the optimiser takes what they give."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.body import Motion
from models.hmr.hmr2 import checkpoint as loading
from tests.e2e.conftest import CLIP, FRAMES, OPTIONS, Ended
from tests.made_up_weights import install
from tests.models.hmr.foreign.made_up import Walker, write_phalp
from tests.models.hmr.hmr2.tiny import TINY, checkpoint, tiny_network

pytestmark = pytest.mark.slow


@pytest.fixture
def hmr2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(loading.load_network, "__defaults__", (TINY,))
    install("hmr2", checkpoint(tiny_network()))


def another_program_s(workspace: Path, path: Path) -> None:
    """What the workspace's own poses would be as a result of PHALP's, for the frames kept."""
    motion = Motion.load(workspace / "poses" / "motion.npz")
    assert motion.joints is not None
    betas = np.tile(motion.betas, (FRAMES, 1))
    person = Walker(np.arange(FRAMES), motion.poses, motion.joints[:, 0], betas)
    write_phalp(path, {1: person}, FRAMES, motion.K[0, 0], (motion.width, motion.height))


@pytest.mark.parametrize("engine", ["hmr2", "blazepose", "file"])
def test_optimize_takes_every_engine_s_poses(
    engine: str, hmr2: None, half_done: Path, call: Callable[..., Ended], tmp_path: Path
) -> None:
    options: list[object] = ["--set", f"poses.engine={engine}"]
    if engine == "file":
        another_program_s(half_done, tmp_path / "demo_clip.pkl")
        options = ["--poses", tmp_path / "demo_clip.pkl"]
    ended = call("run", CLIP, "--workspace", half_done, *OPTIONS, *options, "--until", "optimize")
    assert ended.status == 0, ended.err
    manifest = json.loads((half_done / "poses" / "manifest.json").read_text())
    assert manifest["engine"] == engine
    assert bool(manifest["weights"]) == (engine == "hmr2")
    before, after = (Motion.load(half_done / stage / "motion.npz") for stage in ("poses", "optimize"))
    assert len(before) == len(after) == FRAMES
    assert np.isfinite(after.poses).all()
    # Poses of random weights may be too far off for anything better to be found: then they are kept.
    assert engine == "hmr2" or np.abs(after.poses - before.poses).max() > 1e-3
