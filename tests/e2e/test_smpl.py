"""The whole chain on SMPL's own body, here one made up in its format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import plyfile
import pytest

from models.avatar import Avatar
from models.body import Motion, load_body
from tests.e2e.conftest import CLIP, FRAMES, OPTIONS, Ended
from tests.made_up_weights import install
from tests.models.body.made_up_smpl import write_pickle

pytest.importorskip("smplx", reason="smplx is not installed (extra `models`)")
pytestmark = pytest.mark.slow


@pytest.fixture
def body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file, which is also the cache's male body."""
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "weights"))
    path = write_pickle(tmp_path / "SMPL_MALE.pkl")
    install("smpl_male", path.read_bytes())
    return path


def test_a_clip_becomes_an_avatar_of_smpl_s_form(
    body: Path, call: Callable[..., Ended], tmp_path: Path
) -> None:
    folder = tmp_path / "clip.hsplat"
    assert call("run", CLIP, "--workspace", folder, *OPTIONS, "--body", "smpl_male").status == 0
    before, after = (Motion.load(folder / "export" / name) for name in ("motion_initial.npz", "motion.npz"))
    assert before.body == after.body == "smpl"
    assert np.abs(after.poses - before.poses).max() > 1e-3
    assert len(Avatar.load(folder / "export" / "avatar.npz")) >= 1000
    assert len(plyfile.PlyData.read(folder / "export" / "avatar.ply")["vertex"].data) >= 1000

    model, truth = load_body(body), tmp_path / "gt.npz"
    assert after.joints is not None
    times = {"frame": after.frame, "fps": 30.0}
    rows = {"poses_cam": after.poses, "trans_cam": after.trans, "betas": after.betas}
    np.savez(truth, joints_cam=after.joints, **rows, **times)
    for option in ((), ("--body", body)):
        ended = call("evaluate", folder, "--truth", truth, *option)
        assert ended.status == 0, ended.err
    assert model.kind == "smpl"

    again = call("run", CLIP, "--workspace", folder, *OPTIONS, "--body", body)  # the same content elsewhere
    assert again.status == 0 and "up to date" in again.err


def test_its_motion_drives_a_run_on_the_embedded_body(
    body: Path, call: Callable[..., Ended], tmp_path: Path
) -> None:
    first, second = tmp_path / "smpl.hsplat", tmp_path / "embedded.hsplat"
    assert call("run", CLIP, "--workspace", first, *OPTIONS, "--body", body, "--until", "poses").status == 0
    file = first / "poses" / "motion.npz"
    ended = call("run", CLIP, "--workspace", second, *OPTIONS, "--poses", file, "--until", "optimize")
    assert ended.status == 0, ended.err
    own, motion = Motion.load(file), Motion.load(second / "poses" / "motion.npz")
    assert (own.body, motion.body, len(motion)) == ("smpl", "embedded", FRAMES)
    assert own.joints is not None and motion.joints is not None
    np.testing.assert_allclose(motion.joints[:, 0], own.joints[:, 0], atol=1e-3)
