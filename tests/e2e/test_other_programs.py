"""Another program's poses through the command line: the optimiser goes on from them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.body import Motion
from tests.e2e.conftest import CLIP, FRAMES, OPTIONS, Ended
from tests.models.hmr.foreign.made_up import Walker, write_phalp

pytestmark = pytest.mark.slow


def as_phalp(workspace: Path, path: Path) -> Path:
    """The workspace's own poses of the frames kept as PHALP would have written them."""
    motion = Motion.load(workspace / "poses" / "motion.npz")
    assert motion.joints is not None
    betas = np.tile(motion.betas, (FRAMES, 1))
    person = Walker(np.arange(FRAMES), motion.poses, motion.joints[:, 0], betas)
    return write_phalp(path, {1: person}, FRAMES, motion.K[0, 0], (motion.width, motion.height))


def test_optimize_goes_on_from_another_program_s_poses(
    half_done: Path, call: Callable[..., Ended], tmp_path: Path
) -> None:
    own = Motion.load(half_done / "poses" / "motion.npz")
    file = as_phalp(half_done, tmp_path / "demo_clip.pkl")
    ended = call("run", CLIP, "--workspace", half_done, *OPTIONS, "--poses", file, "--until", "optimize")
    assert ended.status == 0, ended.err
    manifest = json.loads((half_done / "poses" / "manifest.json").read_text())
    assert (manifest["engine"], manifest["summary"]["program"]) == ("file", "PHALP")
    given, after = (Motion.load(half_done / stage / "motion.npz") for stage in ("poses", "optimize"))
    assert given.joints is not None and own.joints is not None
    np.testing.assert_allclose(given.joints[:, 0], own.joints[:, 0], atol=1e-3)
    np.testing.assert_allclose(given.poses[:, 3:], own.poses[:, 3:], atol=1e-3)
    assert len(after) == FRAMES and np.isfinite(after.poses).all()
    assert np.abs(after.poses - given.poses).max() > 1e-3
