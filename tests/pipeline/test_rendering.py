"""The command `render` on a small finished workspace."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from models import gpu
from models.avatar import Avatar
from models.body import Motion
from models.errors import InputError
from pipeline.rendering import parse_color, picture_size
from stages.probe import probe
from tests.pipeline.test_evaluation import (  # noqa: F401
    avatar,
    body,
    call,
    folders,
    inputs,
    motion,
    workspace,
)
from tests.stages.export.conftest import FRAMES, HEIGHT, WIDTH

Call = Callable[..., int]


@pytest.fixture(autouse=True)
def finished(workspace: object) -> None:  # noqa: F811
    """Every test has the workspace clip.hsplat in its folder."""


def here() -> set[str]:
    return {path.name for path in Path().iterdir()}


def cameras(path: Path, count: int) -> Path:
    K = np.array([[100.0, 0, WIDTH / 2], [0, 100, HEIGHT / 2], [0, 0, 1]])
    np.savez(path, K=np.stack([K] * count), T_world_cam=np.stack([np.eye(4)] * count))
    return path


def test_a_workspaces_own_motion_becomes_a_video(call: Call, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    assert call("render", "clip.hsplat", "--output", "out/a.mp4", "--size", "64x48") == 0
    info = probe(Path("out/a.mp4"))
    assert (info.width, info.height, len(info.times)) == (64, 48, FRAMES)
    assert f"\nout/a.mp4: {FRAMES} pictures of 64 x 48 pixels, 10 a second" in "\n" + capsys.readouterr().out


def test_an_avatar_alone_turns_before_a_colour(call: Call) -> None:  # noqa: F811
    where = ("--output", "turn", "--turntable", "--size", "30x40", "--fps", "2", "--background", "#204060")
    assert call("render", "clip.hsplat/optimize/avatar.npz", *where) == 0
    pictures = sorted(Path("turn").iterdir())
    assert [path.name for path in pictures] == [f"{number:06d}.png" for number in range(6)]
    assert cv2.imread(str(pictures[0]))[0, 0].tolist() == [0x60, 0x40, 0x20]


def test_every_camera_has_files_of_its_own(call: Call, tmp_path: Path) -> None:  # noqa: F811
    file = cameras(tmp_path / "cameras.npz", 2)
    assert call("render", "clip.hsplat", "--cameras", file, "--output", "out") == 0
    assert [len(list(Path(f"out_cam{number}").iterdir())) for number in range(2)] == [FRAMES] * 2
    assert not Path("out").exists()
    assert call("render", "clip.hsplat", "--cameras", file, "--output", "a.webm", "--size", "20x20") == 0
    assert {"a_cam0.webm", "a_cam1.webm"} <= here()


def test_a_suffix_in_capitals_is_a_videos_too(call: Call) -> None:  # noqa: F811
    assert call("render", "clip.hsplat", "--output", "a.MP4", "--size", "64x48") == 0
    assert len(probe(Path("a.MP4")).times) == FRAMES


def test_nothing_is_overwritten_unasked(
    call: Call,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    small = ("--size", "48x48")
    Path("a.mp4").write_text("mine")
    assert call("render", "clip.hsplat", "--output", "a.mp4", *small) == 2
    assert "a.mp4 exists already" in capsys.readouterr().err
    assert Path("a.mp4").read_text() == "mine"
    assert call("render", "clip.hsplat", "--output", "a.mp4", *small, "--force") == 0
    assert len(probe(Path("a.mp4")).times) == FRAMES
    Path("out_cam1").mkdir()
    Path("out_cam1/letter.txt").write_text("mine")
    file = cameras(tmp_path / "cameras.npz", 2)
    for force in ((), ("--force",)):
        assert call("render", "clip.hsplat", "--cameras", file, "--output", "out", *force) == 2
        assert not Path("out_cam0").exists(), "looked at all places before the first was written"
    assert Path("out_cam1/letter.txt").read_text() == "mine"


def test_a_failed_call_leaves_nothing_behind(
    call: Call,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stages.render.drawing.write_image", refused)
    before = here()
    assert call("render", "clip.hsplat", "--output", "out") == 1
    assert "No room" in capsys.readouterr().err
    assert here() == before


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("absent.hsplat",), "no such workspace or avatar"),
        (("clip.hsplat", "--motion", "absent.npz"), "absent.npz"),
        (("clip.hsplat", "--motion", "cut.bvh"), "no ROOT"),
        (("clip.hsplat", "--motion", "legs.npz"), "poses of shape"),
        (("clip.hsplat", "--cameras", "flat.npz"), "shape"),
        (("clip.hsplat", "--cameras", "flat.npz", "--orbit"), "Only one of"),
        (("clip.hsplat", "--orbit", "--turntable"), "Only one of"),
        (("clip.hsplat/optimize/avatar.npz",), "no motion"),
        (("clip.hsplat/optimize/motion.npz", "--turntable"), "not an avatar"),
        (("old.npz", "--turntable"), "avatar of version 99"),
        (("single.npy", "--turntable"), "cannot be read as an avatar"),
        (("clip.hsplat", "--background", "green"), "--background green is no colour."),
        (("clip.hsplat", "--size", "0x10"), "no size"),
        (("clip.hsplat", "--size", "512"), "--size 512 is no size."),
        (("clip.hsplat", "--fps", "0"), "no frame rate"),
        (("clip.hsplat", "--fps", "nan"), "no frame rate"),
        (("clip.hsplat", "--fps", "1e-9"), "no frame rate"),
        (("clip.hsplat", "--device", "tpu"), "not known"),
        (("clip.hsplat", "--output", "out.gif"), "not written"),
        (("clip.hsplat", "--output", "out.mp4", "--background", "transparent"), "cannot be transparent"),
        (("clip.hsplat", "--output", "out.MP4", "--background", "transparent"), "cannot be transparent"),
        (("clip.hsplat", "--output", "clip.hsplat", "--force"), "other files"),
        (("clip.hsplat", "--output", "clip.hsplat/frames/images", "--force"), "the run's own folder"),
        (("clip.hsplat", "--output", "clip.hsplat/export/new.mp4"), "the run's own folder"),
        ((".",), "is not a workspace"),
    ],
)
def test_what_cannot_be_used_is_told_and_nothing_written(
    call: Call,  # noqa: F811
    avatar: Avatar,  # noqa: F811
    motion: Motion,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    Path("cut.bvh").write_text("HIERARCHY\nJOINT Hips\n{\n")
    np.savez("legs.npz", **{**vars(motion), "poses": np.zeros((FRAMES, 24))})
    np.savez("flat.npz", K=np.eye(2), T_world_cam=np.eye(4))
    np.save("single.npy", np.zeros(3))
    avatar.save(Path("old.npz"))
    with np.load("old.npz") as stored:
        np.savez("old.npz", **{**stored, "version": np.array(99)})
    before = here()
    output = () if "--output" in arguments else ("--output", "out")
    assert call("render", *arguments, *output) == 2
    told = capsys.readouterr().err
    assert reason in told and "Traceback" not in told
    assert here() == before


def test_a_workspace_that_never_finished_is_told(call: Call, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    manifest = Path("clip.hsplat/optimize/manifest.json")
    manifest.rename("manifest.json")
    assert call("render", "clip.hsplat", "--output", "out") == 2
    assert "has not finished: optimize is missing" in capsys.readouterr().err
    facts = json.loads(Path("manifest.json").read_text())
    manifest.write_text(json.dumps({**facts, "surplus": 1}))
    assert call("render", "clip.hsplat", "--output", "out") == 2
    assert "damaged" in capsys.readouterr().err


def test_a_lacking_gpu_is_told_in_sentences(
    call: Call,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(gpu, "lack", lambda: gpu.Lack("there is no device", "install one"))
    assert call("render", "clip.hsplat", "--output", "out", "--device", "cuda") == 2
    told = "Nothing can be drawn on CUDA: there is no device.\nInstall one; or use --device cpu.\n"
    assert told in capsys.readouterr().err


def test_colours_and_sizes() -> None:
    assert parse_color("255, 0,51") == (1, 0, 0.2) == parse_color("#FF0033")
    assert parse_color("transparent") is None
    for wrong in ("256,0,0", "#fff", "1,2", "", "-1,2,3"):
        with pytest.raises(InputError, match="no colour"):
            parse_color(wrong)
    assert picture_size("640x360") == (640, 360)
    for wrong in ("640", "x", "0x1", "9000x1", "-1x5", "1.5x2"):
        with pytest.raises(InputError, match="no size"):
            picture_size(wrong)
