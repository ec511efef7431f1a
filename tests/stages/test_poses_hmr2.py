"""Stage poses with HMR 2.0 in small: chosen where its weights are, of the same kind as from landmarks."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from models.body import Motion
from models.errors import InputError, StageError
from models.hmr.hmr2 import checkpoint as loading
from stages.frames import Frames
from stages.poses import STAGE, PosesSettings
from tests.made_up_weights import install
from tests.models.body.made_up_smpl import write_npz
from tests.models.hmr.hmr2.tiny import TINY, checkpoint, tiny_network
from tests.stages.conftest import CallStage, FramesFolder
from tests.stages.test_poses import COUNT, SIZE, inputs

__all__ = ["inputs"]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of weights of each test's own."""
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading.load_network, "__defaults__", (TINY,))
    install("hmr2", checkpoint(tiny_network()))


@pytest.fixture
def clip(frames_folder: FramesFolder, tmp_path: Path) -> dict[str, Path]:
    """A person left of the middle, on noise, who leaves in the last two frames."""
    generator = np.random.default_rng(0)
    shape = (COUNT, SIZE[1], SIZE[0], 3)
    frames = frames_folder(list(generator.integers(0, 255, shape, dtype=np.uint8)))
    detect = tmp_path / "detect"
    detect.mkdir()
    boxes = np.tile([60.0, 20, 120, 200], (COUNT, 1)) + np.arange(COUNT)[:, None] * [2, 0, 2, 0]
    np.savez(detect / "subject.npz", boxes=boxes, scores=np.ones(COUNT), valid=np.arange(COUNT) < COUNT - 2)
    return {"frames": frames, "detect": detect}


def test_auto_takes_the_network_where_its_weights_are(weights: None) -> None:
    assert STAGE.engine(PosesSettings()) == "hmr2"
    assert STAGE.engine(PosesSettings(engine="blazepose")) == "blazepose"
    assert STAGE.engine(PosesSettings(file=Path("mine.npz"))) == "file"


def test_without_weights_the_landmarks_serve_and_the_network_is_refused_with_the_command() -> None:
    assert STAGE.engine(PosesSettings()) == "blazepose"
    with pytest.raises(InputError) as caught:
        STAGE.engine(PosesSettings(engine="hmr2"))
    assert "weights fetch hmr2" in caught.value.next_step


def test_the_subject_is_put_before_the_clip_s_camera(
    weights: None, clip: dict[str, Path], call_stage: CallStage
) -> None:
    summary, folder = call_stage(STAGE, PosesSettings(), **clip)
    motion, frames = Motion.load(folder / "motion.npz"), Frames.load(clip["frames"])
    assert (summary["frames"], summary["valid"], summary["body"]) == (COUNT, COUNT - 2, "embedded")
    assert any("--body SMPL_NEUTRAL.pkl" in warning for warning in summary["warnings"])
    np.testing.assert_array_equal(motion.valid, np.arange(COUNT) < COUNT - 2)
    np.testing.assert_array_equal(motion.frame, frames.source_index)
    np.testing.assert_array_equal(motion.K, frames.K_source)
    assert motion.joints is not None
    picture = motion.joints @ frames.K.T
    places = picture[..., :2] / picture[..., 2:]
    boxes = np.load(clip["detect"] / "subject.npz")["boxes"][:, None]
    inside = (places > boxes[..., :2] - 60) & (places < boxes[..., 2:] + 60)
    assert inside[motion.valid].mean() > 0.9
    assert (motion.joints[..., 2] > 0.5).all()


def test_engines_give_the_same_kind_of_motion(
    weights: None, inputs: dict[str, Path], clip_boxes: None, call_stage: CallStage, tmp_path: Path
) -> None:
    motions = []
    for engine in ("hmr2", "blazepose"):
        _, folder = call_stage(STAGE, PosesSettings(engine=engine, steps=20), **inputs)
        motions.append(Motion.load(folder / "motion.npz"))
        folder.rename(tmp_path / engine)
        (tmp_path / "poses.scratch").rmdir()
    for field in fields(Motion):
        first, second = (getattr(motion, field.name) for motion in motions)
        assert type(first) is type(second), field.name
        assert getattr(first, "shape", None) == getattr(second, "shape", None), field.name
        assert getattr(first, "dtype", None) == getattr(second, "dtype", None), field.name


@pytest.fixture
def clip_boxes(inputs: dict[str, Path]) -> None:
    """Adds the subject's boxes to what stage detect wrote."""
    boxes, valid = np.tile([120.0, 20, 200, 220], (COUNT, 1)), np.arange(COUNT) < COUNT - 1
    np.savez(inputs["detect"] / "subject.npz", boxes=boxes, scores=np.ones(COUNT), valid=valid)


def test_smpl_keeps_the_estimated_shape(
    weights: None, clip: dict[str, Path], call_stage: CallStage, tmp_path: Path
) -> None:
    pytest.importorskip("smplx", reason="smplx is not installed (extra `models`)")
    body = write_npz(tmp_path / "SMPL_NEUTRAL.npz")
    summary, folder = call_stage(STAGE, PosesSettings(body=body, height=1.9), **clip)
    motion = Motion.load(folder / "motion.npz")
    assert (motion.body, summary["warnings"]) == ("smpl", [])
    assert summary["height"] == pytest.approx(1.9, abs=0.01)
    assert np.abs(motion.betas[2:]).max() > 0.1


def test_weights_of_something_else_are_refused(
    monkeypatch: pytest.MonkeyPatch, clip: dict[str, Path], call_stage: CallStage
) -> None:
    install("hmr2", checkpoint(tiny_network()))
    with pytest.raises(InputError, match="of another network than HMR"):
        call_stage(STAGE, PosesSettings(engine="hmr2"), **clip)


def test_answers_that_are_none_end_the_stage(
    monkeypatch: pytest.MonkeyPatch, clip: dict[str, Path], call_stage: CallStage
) -> None:
    network = tiny_network()
    with torch.no_grad():
        network.smpl_head.init_cam.fill_(-5)
    monkeypatch.setattr(loading.load_network, "__defaults__", (TINY,))
    install("hmr2", checkpoint(network))
    with pytest.raises(StageError, match="no usable pose"):
        call_stage(STAGE, PosesSettings(), **clip)
