"""The stage on a small clip whose truth the renderer itself has drawn."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models import gpu
from models.avatar import Avatar, Evidence, Result
from models.avatar.settings import Weights
from models.body import Motion, load_embedded_body
from models.errors import InputError, StageError
from models.people import Landmarks
from stages.base import Work
from stages.optimize import STAGE, OptimizeSettings, learning
from stages.optimize.learning import CHECKPOINT, CheckpointFile
from tests.models.avatar.scenes import HEIGHT, WIDTH, filmed

FRAMES = 10
QUICK = OptimizeSettings(
    device="cpu",
    gaussians=500,
    final_gaussians=600,
    alignment_steps=20,
    silhouette_steps=10,
    joint_steps=20,
    appearance_steps=5,
    person_pixels=64,
    final_person_pixels=64,
    held_out=0.1,
)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return filmed(load_embedded_body(), FRAMES)


def _motion(evidence: Evidence) -> Motion:
    return Motion(
        poses=evidence.poses,
        trans=evidence.trans,
        betas=evidence.betas,
        K=np.diag((2, 2, 1)) @ evidence.K,
        frame=3 * np.arange(FRAMES),
        fps=evidence.fps,
        width=2 * WIDTH,
        height=2 * HEIGHT,
        body="embedded",
        valid=evidence.posed,
    )


@pytest.fixture
def work(evidence: Evidence, tmp_path: Path) -> Work:
    """What the earlier stages leave behind."""
    folders = {name: tmp_path / name for name in (*STAGE.needs, "output", "scratch")}
    for folder in folders.values():
        folder.mkdir()
    (folders["frames"] / "images").mkdir()
    for t, (image, mask) in enumerate(zip(evidence.images, evidence.masks, strict=True)):
        cv2.imwrite(str(folders["frames"] / "images" / f"{t:06d}.png"), image[..., ::-1])
        cv2.imwrite(str(folders["masks"] / f"{t:06d}.png"), mask)
    np.savez(
        folders["frames"] / "frames.npz",
        times=np.arange(FRAMES) / evidence.fps,
        source_index=3 * np.arange(FRAMES),
        fps=evidence.fps,
        K=evidence.K,
        K_source=np.diag([2, 2, 1]) @ evidence.K,
        width=WIDTH,
        height=HEIGHT,
        source_width=2 * WIDTH,
        source_height=2 * HEIGHT,
        source_frames=3 * FRAMES,
        focal_source="guess",
    )
    np.savez(folders["detect"] / "subject.npz", boxes=np.zeros((FRAMES, 4)), valid=np.arange(FRAMES) != 2)
    np.savez(folders["masks"] / "masks.npz", valid=np.arange(FRAMES) != 5)
    _motion(evidence).save(folders["poses"] / "motion.npz")
    return Work(
        inputs={name: folders[name] for name in STAGE.needs},
        output=folders["output"],
        scratch=folders["scratch"],
        settings=QUICK,
        engine="numba",
    )


def test_writes_avatar_motion_and_history(work: Work, evidence: Evidence) -> None:
    seen = []
    summary = STAGE.run(replace(work, progress=lambda done, total, note="": seen.append((done, total, note))))
    assert len(Avatar.load(work.output / "avatar.npz")) == 600 == summary["gaussians"]
    motion = Motion.load(work.output / "motion.npz")
    assert motion.frame.tolist() == list(range(0, 30, 3)) and motion.width == 2 * WIDTH
    posed = load_embedded_body().pose(
        *(torch.from_numpy(a) for a in (motion.poses, motion.trans, motion.betas))
    )
    np.testing.assert_allclose(motion.joints, posed.joints.numpy(), atol=1e-4)
    assert np.abs(motion.poses - evidence.poses).max() > 1e-3
    history = json.loads((work.output / "history.json").read_text())
    assert 2 not in history["frames"]["usable"] and 5 not in history["frames"]["usable"]
    assert {r["phase"] for r in history["losses"]} >= {"alignment", "silhouettes", "joint", "appearance"}
    assert json.dumps(summary)
    with np.load(work.output / "held_out.npz", allow_pickle=False) as held_out:
        assert held_out["poses"].shape == (0, 72)  # too few frames to hold one out
    assert [done for done, *_ in seen] == sorted(done for done, *_ in seen)
    assert seen[-1][0] == seen[-1][1] and {"alignment", "joint"} <= {note for *_, note in seen}


def test_goes_on_from_its_checkpoint(work: Work) -> None:
    """After a whole run the checkpoint stands at its end: going on must only write the same again."""
    STAGE.run(work)
    first = Avatar.load(work.output / "avatar.npz")
    steps: list[int] = []
    STAGE.run(replace(work, progress=lambda done, total, note="": steps.append(done)))
    assert not steps
    assert torch.equal(first.means, Avatar.load(work.output / "avatar.npz").means)


def test_a_damaged_checkpoint_starts_anew(work: Work) -> None:
    (work.scratch / CHECKPOINT).write_bytes(b"PK\x03\x04 half a file")
    STAGE.run(work)
    assert (work.output / "avatar.npz").exists()


def test_checkpoints_replace_each_other_whole(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "state.pt")
    assert file.load() is None
    for value in (1, 2):
        file.save({"value": value, "tensor": torch.arange(3)})
    state = file.load()
    assert state is not None and state["value"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


def test_any_damage_to_a_checkpoint_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = CheckpointFile(tmp_path / "state.pt")
    file.save({"value": 1, "tensor": torch.arange(100.0)})
    whole, dice = file.path.read_bytes(), np.random.default_rng(0)
    for place in dice.integers(len(whole), size=200):
        content = bytearray(whole)
        content[place] ^= 1 << int(dice.integers(8))
        file.path.write_bytes(content)
        assert file.load() is None
        file.path.write_bytes(whole[:place])
        assert file.load() is None
    assert "the checkpoint is damaged; starting anew" in caplog.text
    file.path.write_bytes(whole)
    assert file.load() is not None


@pytest.mark.parametrize("numbers", [1, 10**6])
def test_a_full_disk_keeps_its_name_when_a_checkpoint_is_written(tmp_path: Path, numbers: int) -> None:
    (tmp_path / "state.part").symlink_to("/dev/full")
    with pytest.raises(OSError) as failure:
        CheckpointFile(tmp_path / "state.pt").save({"tensor": torch.zeros(numbers)})
    assert failure.value.errno == errno.ENOSPC


def test_reads_depth_and_landmarks(work: Work) -> None:
    disparity = np.random.default_rng(0).uniform(100, 200, (FRAMES, 32, 24))
    np.savez(work.inputs["depth"] / "depth.npz", disparity=disparity)
    landmarks = np.zeros((2, FRAMES, 33, 3))
    Landmarks(landmarks, landmarks, np.zeros((2, FRAMES), bool)).save(work.inputs["detect"] / "landmarks.npz")
    settings = QUICK.model_copy(update={"weights": Weights(landmarks=0.1)})
    STAGE.run(replace(work, settings=settings))
    assert np.isfinite(Motion.load(work.output / "motion.npz").poses).all()


def test_refuses_depth_and_motion_of_other_frames(work: Work, evidence: Evidence) -> None:
    np.savez(work.inputs["depth"] / "depth.npz", disparity=np.ones((3, 8, 8)))
    with pytest.raises(InputError, match=r"depth\.npz"):
        STAGE.run(work)
    short = _motion(evidence)
    cut = {name: getattr(short, name)[:4] for name in ("poses", "trans", "frame", "valid")}
    replace(short, **cut).save(work.inputs["poses"] / "motion.npz")
    with pytest.raises(InputError, match="4 frames"):
        STAGE.run(work)


def test_refuses_a_motion_of_another_body(work: Work, evidence: Evidence) -> None:
    replace(_motion(evidence), body="smpl").save(work.inputs["poses"] / "motion.npz")
    with pytest.raises(InputError, match="smpl"):
        STAGE.run(work)


def test_names_a_missing_picture(work: Work) -> None:
    (work.inputs["masks"] / "000004.png").unlink()
    with pytest.raises(StageError, match=r"000004\.png"):
        STAGE.run(work)


def test_the_engine_is_gsplat_where_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "lack", lambda: None)
    assert STAGE.engine(OptimizeSettings()) == STAGE.engine(OptimizeSettings(device="cuda")) == "gsplat"
    assert STAGE.engine(OptimizeSettings(device="cpu")) == "numba"


def test_asking_for_cuda_where_something_lacks_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "lack", lambda: gpu.Lack("no toolkit is found", "install it"))
    assert STAGE.engine(OptimizeSettings()) == "numba"
    with pytest.raises(InputError, match="no toolkit is found") as error:
        STAGE.engine(OptimizeSettings(device="cuda"))
    assert error.value.next_step == "Install it; or use --device cpu."


@pytest.mark.parametrize(
    ("asked", "card", "warnings"),
    [
        ("auto", "H1", ["the GPU lies idle: no toolkit is found; install it", "another"]),
        ("auto", None, ["another"]),
        ("cpu", "H1", ["another"]),
    ],
)
def test_an_idle_gpu_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, card: str | None, warnings: list[str]
) -> None:
    monkeypatch.setattr(gpu, "device", lambda: card)
    monkeypatch.setattr(gpu, "lack", lambda: gpu.Lack("no toolkit is found", "install it"))
    monkeypatch.setattr(learning, "learn", lambda work: {"warnings": ["another"]})
    work = Work({}, tmp_path, tmp_path, OptimizeSettings(device=asked), "numba")
    assert STAGE.run(work)["warnings"] == warnings


def test_keeps_the_held_out_frames_poses_from_before_their_fit(tmp_path: Path) -> None:
    zeros = {"trans": torch.zeros(4, 3), "joints": torch.zeros(4, 24, 3), "betas": torch.zeros(10)}
    before = torch.arange(4.0)[:, None].expand(4, 72), torch.arange(4.0)[:, None].expand(4, 3)
    history = {"frames": {"held_out": [1, 3]}}
    result = Result(None, torch.zeros(4, 72), **zeros, history=history, interpolated=before)
    learning._write_held_out(tmp_path / "held_out.npz", result)
    with np.load(tmp_path / "held_out.npz") as written:
        assert written["frames"].tolist() == [1, 3]
        assert written["poses"][:, 0].tolist() == written["trans"][:, 2].tolist() == [1, 3]
