"""Stage depth: the user's maps, fitting or not, and no maps at all."""

import tracemalloc
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import InputError
from models.weights import TABLE
from stages.depth import STAGE, DepthSettings, Model, choose_engine
from tests.made_up_weights import install
from tests.stages.conftest import CallStage, FramesFolder

COUNT, HEIGHT, WIDTH = 6, 40, 60


@pytest.fixture
def frames(frames_folder: FramesFolder) -> Path:
    return frames_folder([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * COUNT)


def maps(count: int = COUNT, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Map i holds i + 1 everywhere."""
    return np.ones((count, height, width), np.float32) * np.arange(1, count + 1)[:, None, None]


def save(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / "depth ü.npz"
    np.savez_compressed(path, **arrays)
    return path


def test_without_a_file_nothing_is_written_and_it_is_said(frames: Path, call_stage: CallStage) -> None:
    summary, folder = call_stage(STAGE, DepthSettings(), frames=frames)
    assert list(folder.iterdir()) == []
    assert summary["depth"] == "none"
    assert "depth loss is off" in summary["warnings"][0]


@pytest.mark.parametrize("kind", ["depth", "disparity"])
@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.uint16])
def test_maps_of_the_frames_kept(
    frames: Path, call_stage: CallStage, tmp_path: Path, kind: str, dtype: type
) -> None:
    path = save(tmp_path, **{kind: maps(height=20, width=30).astype(dtype)})
    summary, folder = call_stage(STAGE, DepthSettings(file=path), frames=frames)
    with np.load(folder / "depth.npz", allow_pickle=False) as file:
        assert file.files == [kind]
        np.testing.assert_array_equal(file[kind], maps(height=20, width=30))
        assert file[kind].dtype == np.float32
    assert summary == {"depth": kind, "size": [30, 20], "known": 1.0}


def test_maps_of_the_whole_video(frames: Path, call_stage: CallStage, tmp_path: Path) -> None:
    path = save(tmp_path, disparity=maps(2 * COUNT))
    _, folder = call_stage(STAGE, DepthSettings(file=path), frames=frames)
    with np.load(folder / "depth.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["disparity"][:, 0, 0], [1, 3, 5, 7, 9, 11])


def test_depth_goes_before_disparity(frames: Path, call_stage: CallStage, tmp_path: Path) -> None:
    path = save(tmp_path, disparity=maps(), depth=2 * maps())
    summary, _ = call_stage(STAGE, DepthSettings(file=path), frames=frames)
    assert summary["depth"] == "depth"


def test_unusable_values_are_unknown(frames: Path, call_stage: CallStage, tmp_path: Path) -> None:
    depth = maps()
    depth[0, 0, :4] = [np.nan, np.inf, -1, 0]
    _, folder = call_stage(STAGE, DepthSettings(file=save(tmp_path, depth=depth)), frames=frames)
    with np.load(folder / "depth.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["depth"][0, 0, :6], [0, 0, 0, 0, 1, 1])


def test_large_maps_are_scaled_down_without_mixing_unknown_values_in(
    frames: Path, call_stage: CallStage, tmp_path: Path
) -> None:
    depth = np.repeat(np.repeat(maps(), 4, axis=1), 4, axis=2)
    depth[:, :, : 2 * WIDTH] = 0
    _, folder = call_stage(STAGE, DepthSettings(file=save(tmp_path, depth=depth)), frames=frames)
    with np.load(folder / "depth.npz", allow_pickle=False) as file:
        assert file["depth"].shape == (COUNT, HEIGHT, WIDTH)
        assert set(np.unique(file["depth"])) == {0, 1, 2, 3, 4, 5, 6}
        assert (file["depth"][:, :, : WIDTH // 2] == 0).all()


def test_maps_of_a_long_video_are_not_held_in_memory(
    frames_folder: FramesFolder, call_stage: CallStage, tmp_path: Path
) -> None:
    frames = frames_folder([np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * COUNT, source_frames=200)
    path = save(tmp_path, depth=np.ones((200, 160, 240), np.float32))
    tracemalloc.start()
    call_stage(STAGE, DepthSettings(file=path), frames=frames)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 * 160 * 240 * 4 / 4


BAD = {
    "neither": {"depths": maps()},
    "(6, 2400)": {"depth": maps().reshape(COUNT, -1)},
    "5 maps": {"depth": maps(5)},
    "60x60": {"depth": maps(height=60, width=60)},
    "too small": {"depth": maps(height=4, width=6)},
    "type bool": {"depth": maps() > 0},
    "type object": {"depth": np.array([None, "x"], dtype=object)},
    "type complex128": {"depth": maps() * 1j},
    "no positive value": {"depth": np.full((COUNT, HEIGHT, WIDTH), np.nan)},
    "column by column": {"depth": np.asfortranarray(maps())},
}


@pytest.mark.parametrize("words", BAD)
def test_files_that_do_not_fit(frames: Path, call_stage: CallStage, tmp_path: Path, words: str) -> None:
    path = save(tmp_path, **BAD[words])
    with pytest.raises(InputError) as caught:
        call_stage(STAGE, DepthSettings(file=path), frames=frames)
    assert words in caught.value.problem
    assert str(path) in caught.value.problem
    assert caught.value.next_step


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut", "bit"])
def test_files_that_are_damaged(frames: Path, call_stage: CallStage, tmp_path: Path, damage: str) -> None:
    path = save(tmp_path, depth=np.random.default_rng(0).random((COUNT, HEIGHT, WIDTH)))
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage == "empty":
        path.touch()
    elif damage == "text":
        path.write_text("depth")
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "bit":
        data[len(data) // 2] ^= 255
        path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        call_stage(STAGE, DepthSettings(file=path), frames=frames)


def test_choice_of_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "cache"))
    assert choose_engine(DepthSettings()) == "none"
    with pytest.raises(InputError, match="Depth Anything V2 Base are not here"):
        choose_engine(DepthSettings(engine="depth_anything", model="base"))
    install("depth_anything_v2_small")
    assert choose_engine(DepthSettings()) == "depth_anything"
    assert choose_engine(DepthSettings(engine="none")) == "none"
    assert choose_engine(DepthSettings(model="metric_indoor_large")) == "none"
    assert choose_engine(DepthSettings(model="large", weights=tmp_path)) == "depth_anything"
    assert choose_engine(DepthSettings(file=tmp_path / "d.npz")) == "file"


def test_every_model_is_in_the_table_of_weights() -> None:
    for model in typing.get_args(Model):
        assert f"depth_anything_v2_{model}" in TABLE
