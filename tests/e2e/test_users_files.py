"""Files and options of the user's that do not fit the clip: told by name, and what is done stays."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.body import Motion
from tests.e2e.conftest import CLIP, FRAMES, OPTIONS, Ended

Make = Callable[[Path, Path], None]  # from a workspace, the user's file


def motion_with_nan(workspace: Path, path: Path) -> None:
    motion = Motion.load(workspace / "poses" / "motion.npz")
    motion.poses[3, 5] = np.nan
    motion.save(path)


def motion_of_another_clip(workspace: Path, path: Path) -> None:
    count = FRAMES - 5
    camera = np.array([[500, 0, 240], [0, 500, 320], [0, 0, 1]])
    np.savez(path, poses=np.zeros((count, 72)), trans=np.ones((count, 3)), betas=np.zeros(10), K=camera)


def motion_without_camera(workspace: Path, path: Path) -> None:
    np.savez(path, poses=np.zeros((FRAMES, 72)), trans=np.ones((FRAMES, 3)), betas=np.zeros(10))


def too_few_masks(workspace: Path, path: Path) -> None:
    path.mkdir()
    for index in range(3):
        name = f"{index:06d}.png"
        (path / name).write_bytes((workspace / "masks" / name).read_bytes())


def masks_that_are_text(workspace: Path, path: Path) -> None:
    path.mkdir()
    for index in range(FRAMES):
        (path / f"{index}.png").write_text("black")


def depth(*shape: int) -> Make:
    return lambda workspace, path: np.savez(path, depth=np.ones(shape))


def text(workspace: Path, path: Path) -> None:
    path.write_text("none")


@pytest.mark.parametrize(
    ("option", "make", "reason"),
    [
        ("--poses", motion_with_nan, r"has poses with values that are no numbers, the first at [3, 5]"),
        ("--poses", motion_of_another_clip, f"holds {FRAMES - 5} poses, but {FRAMES} frames are kept of 48"),
        ("--poses", motion_without_camera, "lacks K"),
        ("--poses", text, "is not a plain npz file"),
        ("--masks", too_few_masks, f"holds 3 masks, but {FRAMES} frames are kept of 48"),
        ("--masks", masks_that_are_text, "cannot be read as a picture"),
        ("--masks", text, "is not a video that can be read"),
        ("--depth", depth(32, 24), "not (T, h, w)"),
        ("--depth", depth(5, 32, 24), f"holds 5 maps, but {FRAMES} frames are kept of 48"),
        ("--depth", depth(FRAMES, 24, 32), "does not match the video's 480x640"),
        ("--depth", text, "cannot be read as an npz file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    half_done: Path, call: Callable[..., Ended], tmp_path: Path, option: str, make: Make, reason: str
) -> None:
    file = tmp_path / "mein eigenes ü.npz"
    make(half_done, file)
    before = {path: path.read_bytes() for path in half_done.glob("*/*.npz")}
    ended = call("run", CLIP, "--workspace", half_done, *OPTIONS, option, file)
    assert ended.status == 2
    problem, advice = ended.err[ended.err.index("Error: ") :].splitlines()
    assert "mein eigenes ü.npz" in problem
    assert reason in problem
    assert advice
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--person", "9"), ("no person 9", "Give --person a number from 1 to 1")),
        (("--person", "0"), ("detect.person (--person)",)),
        (("--height", "-1"), ("poses.height (--height)", "-1")),
        (("--height", "300"), ("poses.height (--height)", "300")),
        (("--focal", "0"), ("frames.focal (--focal)",)),
        (("--focal", "inf"), ("frames.focal (--focal)", "finite")),
        (("--focal", "0.01"), ("0.01 pixels", "--focal from")),
        (("--set", "frames.fpz=3"), ("frames.fpz (--set)", "did you mean frames.fps?")),
        (("--set", "fraems.fps=3"), ("fraems (--set)", "did you mean frames?")),
        (("--preset", "fats"), ("no preset 'fats'", "did you mean 'fast'?")),
        (("--until", "mask"), ("no stage 'mask'", "did you mean 'masks'?")),
    ],
)
def test_an_option_that_does_not_fit_is_refused(
    half_done: Path, call: Callable[..., Ended], options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in half_done.glob("*/manifest.json")}
    ended = call("run", CLIP, "--workspace", half_done, *OPTIONS, *options)
    assert ended.status == 2
    assert ended.err.count("Error: ") == 1
    assert all(word in ended.err for word in words)
    assert {path: path.stat().st_mtime_ns for path in half_done.glob("*/manifest.json")} == before
