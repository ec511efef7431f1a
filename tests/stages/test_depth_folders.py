"""Stage depth: the user's maps as a folder of 16-bit PNGs or EXRs."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import InputError
from stages.depth import STAGE, DepthSettings
from tests.stages.conftest import CallStage
from tests.stages.test_depth import COUNT, HEIGHT, WIDTH, frames

__all__ = ["frames"]


def ramp(index: int) -> NDArray[np.float32]:
    """Metres; map i begins at i + 1, and its first row is unknown."""
    values = np.tile(np.linspace(0, 0.5, WIDTH, dtype=np.float32), (HEIGHT, 1)) + index + 1
    values[0] = 0
    return values


def write_png(path: Path, values: NDArray[np.generic]) -> None:
    path.write_bytes(cv2.imencode(".png", values)[1].tobytes())


def pngs(folder: Path, count: int = COUNT, scale: float = 1000, step: int = 1) -> Path:
    folder.mkdir()
    for index in range(count):
        write_png(folder / f"d_{index}.png", np.rint(scale * ramp(index // step)).astype(np.uint16))
    return folder


def write_exr(path: Path, channels: dict[str, NDArray[np.generic]]) -> None:
    openexr = pytest.importorskip("OpenEXR")
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    with openexr.File(header, channels) as file:
        file.write(str(path))


def exrs(folder: Path, channel: str = "Z") -> Path:
    folder.mkdir()
    for index in range(COUNT):
        write_exr(folder / f"d_{index}.exr", {channel: ramp(index)})
    return folder


def stored(folder: Path, kind: str = "depth") -> NDArray[np.float32]:
    with np.load(folder / "depth.npz", allow_pickle=False) as file:
        assert file.files == [kind]
        return np.asarray(file[kind])


WANTED = np.array([ramp(index) for index in range(COUNT)])


@pytest.mark.parametrize("step", [1, 2])
def test_pngs_are_millimetres(frames: Path, call_stage: CallStage, tmp_path: Path, step: int) -> None:
    mine = pngs(tmp_path / "mine ü", COUNT * step, step=step)
    summary, folder = call_stage(STAGE, DepthSettings(file=mine), frames=frames)
    np.testing.assert_allclose(stored(folder), WANTED, atol=5.1e-4)
    assert summary == {"depth": "depth", "size": [WIDTH, HEIGHT], "known": round(1 - 1 / HEIGHT, 4)}


def test_pngs_of_another_scale(frames: Path, call_stage: CallStage, tmp_path: Path) -> None:
    settings = DepthSettings(file=pngs(tmp_path / "mine", scale=5000), png_scale=5000)
    _, folder = call_stage(STAGE, settings, frames=frames)
    np.testing.assert_allclose(stored(folder), WANTED, atol=1.1e-4)


def test_pictures_of_disparity(frames: Path, call_stage: CallStage, tmp_path: Path) -> None:
    settings = DepthSettings(file=pngs(tmp_path / "mine"), pictures="disparity")
    summary, folder = call_stage(STAGE, settings, frames=frames)
    assert summary["depth"] == "disparity"
    assert stored(folder, "disparity").max() > 0


@pytest.mark.parametrize("channel", ["Z", "depth.V", "Y", "R"])
def test_exrs_are_metres(frames: Path, call_stage: CallStage, tmp_path: Path, channel: str) -> None:
    _, folder = call_stage(STAGE, DepthSettings(file=exrs(tmp_path / "mine", channel)), frames=frames)
    np.testing.assert_array_equal(stored(folder), WANTED)


def test_exrs_of_half_precision_and_colour(frames: Path, call_stage: CallStage, tmp_path: Path) -> None:
    mine = exrs(tmp_path / "mine")
    for index, path in enumerate(sorted(mine.iterdir())):
        write_exr(path, {"RGB": np.dstack([ramp(index)] * 3).astype(np.float16)})
    _, folder = call_stage(STAGE, DepthSettings(file=mine), frames=frames)
    np.testing.assert_allclose(stored(folder), WANTED, rtol=1e-3)


def test_unknown_values_in_exrs(frames: Path, call_stage: CallStage, tmp_path: Path) -> None:
    mine = exrs(tmp_path / "mine")
    values = ramp(0)
    values[1, :3] = [np.nan, np.inf, -1]
    write_exr(mine / "d_0.exr", {"Z": values})
    _, folder = call_stage(STAGE, DepthSettings(file=mine), frames=frames)
    np.testing.assert_array_equal(stored(folder)[0, 1, :4] > 0, [False, False, False, True])


def another_size(folder: Path) -> None:
    write_png(folder / "d_2.png", np.ones((2 * HEIGHT, 2 * WIDTH), np.uint16))


def another_shape(folder: Path) -> None:
    write_png(folder / "d_0.png", np.ones((WIDTH, HEIGHT), np.uint16))


def eight_bits(folder: Path) -> None:
    write_png(folder / "d_2.png", np.ones((HEIGHT, WIDTH), np.uint8))


def colour(folder: Path) -> None:
    write_png(folder / "d_2.png", np.ones((HEIGHT, WIDTH, 3), np.uint16))


def text(folder: Path) -> None:
    (folder / "d_2.png").write_text("deep")


def empty(folder: Path) -> None:
    (folder / "d_2.png").write_bytes(b"")


def too_few(folder: Path) -> None:
    (folder / "d_2.png").unlink()


def both_kinds(folder: Path) -> None:
    (folder / "d_2.png").rename(folder / "d_2.exr")


def nothing_known(folder: Path) -> None:
    for path in folder.iterdir():
        write_png(path, np.zeros((HEIGHT, WIDTH), np.uint16))


FLAWS = {
    another_size: f"d_2.png is {2 * WIDTH}x{2 * HEIGHT} pixels, d_0.png {WIDTH}x{HEIGHT}",
    another_shape: f"d_0.png is {HEIGHT}x{WIDTH} pixels",
    eight_bits: "d_2.png has 1 channel(s) of 8 bits",
    colour: "d_2.png has 3 channel(s) of 16 bits",
    text: "d_2.png cannot be read as a picture",
    empty: "d_2.png cannot be read as a picture",
    too_few: f"mine holds {COUNT - 1} maps, but {COUNT} frames are kept of {2 * COUNT}",
    both_kinds: "mine holds both PNGs and EXRs",
    nothing_known: "mine: `depth` has no positive value",
}


def refuse(call_stage: CallStage, frames: Path, folder: Path, words: str) -> None:
    with pytest.raises(InputError) as caught:
        call_stage(STAGE, DepthSettings(file=folder), frames=frames)
    assert words in caught.value.problem
    assert str(folder) in caught.value.problem
    assert caught.value.next_step


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_folder_that_does_not_fit(
    frames: Path, call_stage: CallStage, tmp_path: Path, flaw: Callable[[Path], None]
) -> None:
    mine = pngs(tmp_path / "mine")
    flaw(mine)
    refuse(call_stage, frames, mine, FLAWS[flaw])


def test_a_folder_of_something_else(frames: Path, call_stage: CallStage, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    refuse(call_stage, frames, tmp_path / "mine", "holds 0 maps")


@pytest.mark.parametrize("damage", ["cut", "text", "channel"])
def test_an_exr_that_is_damaged(frames: Path, call_stage: CallStage, tmp_path: Path, damage: str) -> None:
    mine = exrs(tmp_path / "mine")
    path = mine / "d_2.exr"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "text":
        path.write_text("deep")
    else:
        write_exr(path, {"normal.X": ramp(0)})
    words = "has no depth channel but normal.X" if damage == "channel" else "is damaged, or no EXR file"
    refuse(call_stage, frames, mine, words)


def test_without_the_package_exrs_are_refused(
    frames: Path, call_stage: CallStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for index in range(COUNT):
        (mine / f"{index}.exr").touch()
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    refuse(call_stage, frames, mine, "needs the package OpenEXR, which is not installed")
