"""Stage depth with Depth Anything's tiny network, and what it writes as the optimisation reads it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

pytest.importorskip("transformers")

from models.depth.depth_anything import load_depth_anything
from models.errors import InputError
from stages.depth import STAGE, DepthSettings, estimated
from stages.depth.maps import read_maps, write_maps
from stages.frames import Frames
from tests.made_up_weights import install
from tests.models.depth.tiny import save_tiny
from tests.stages.conftest import CallStage, FramesFolder

COUNT = 6


@pytest.fixture
def frames(frames_folder: FramesFolder) -> Path:
    random = np.random.default_rng(0)
    return frames_folder([random.integers(0, 255, (90, 60, 3), dtype=np.uint8) for _ in range(COUNT)])


@pytest.mark.parametrize(("kind", "name"), [("relative", "disparity"), ("metric", "depth")])
def test_maps_of_all_frames_in_sixteen_bits(
    frames: Path, call_stage: CallStage, tmp_path: Path, kind: str, name: str
) -> None:
    model = save_tiny(tmp_path / "model", kind, max_depth=20)
    settings = DepthSettings(engine="depth_anything", weights=model, device="cpu")
    summary, folder = call_stage(STAGE, settings, frames=frames)
    assert summary == {"depth": name, "size": [56, 84], "known": 1.0, "warnings": []}

    network = load_depth_anything(model, estimated.choose_device("cpu"))
    wanted = np.concatenate([network.estimate([image]) for image in Frames.load(frames).images()])
    (found,) = read_maps(folder / "depth.npz", COUNT).items()
    assert found[0] == name
    step = wanted.max((1, 2), keepdims=True) / 65535
    assert (np.abs(found[1] - wanted) <= 0.51 * step).all()
    with np.load(folder / "depth.npz", allow_pickle=False) as file:
        assert (file[name].dtype, file["scale"].shape) == (np.uint16, (COUNT,))


def test_weights_in_the_cache_are_taken(
    frames: Path, call_stage: CallStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "cache"))
    install("depth_anything_v2_small")
    with pytest.raises(InputError, match="cannot be loaded") as refused:
        call_stage(STAGE, DepthSettings(device="cpu"), frames=frames)
    assert "weights fetch depth_anything_v2_small --force" in refused.value.next_step


def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache as the Hugging Face hub keeps it, with one model; gives the model's folder."""
    import huggingface_hub.constants

    cache = tmp_path / "hub"
    repository = cache / "models--somebody--depth-tiny"
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abcd")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return snapshot


def test_a_models_name_stands_for_its_folder_in_the_hubs_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = hub(tmp_path, monkeypatch)
    (snapshot / "config.json").write_text("{}")
    assert DepthSettings(weights="somebody/depth-tiny").weights == snapshot
    with pytest.raises(ValidationError, match="neither a folder nor in Hugging Face's cache"):
        DepthSettings(weights="somebody/something-else")


def test_a_folder_goes_before_a_models_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert DepthSettings(weights="my/model").weights == Path("my/model")
    assert DepthSettings(weights=str(tmp_path / "none")).weights == tmp_path / "none"


def maps() -> NDArray[np.float32]:
    values = np.random.default_rng(0).uniform(0.5, 20, (COUNT, 7, 9)).astype(np.float32)
    values[1] *= 1e-3
    values[2] = 0
    values[3, 0, 0] = 0
    return values


def test_sixteen_bits_are_precise_to_half_a_step_of_each_map(tmp_path: Path) -> None:
    written = write_maps(tmp_path / "depth.npz", "depth", iter(maps()), COUNT, compact=True)
    assert (written.width, written.height) == (9, 7)
    assert written.known == pytest.approx((maps() > 0).mean())
    found = read_maps(tmp_path / "depth.npz", COUNT)["depth"]
    assert found.dtype == np.float32
    limit = maps().max((1, 2), keepdims=True) / 131070 * 1.01
    assert (np.abs(found - maps()) <= limit).all()
    np.testing.assert_array_equal(found[2:4] == 0, maps()[2:4] == 0)


def test_plain_maps_are_exact(tmp_path: Path) -> None:
    write_maps(tmp_path / "depth.npz", "disparity", iter(maps()), COUNT, compact=False)
    np.testing.assert_array_equal(read_maps(tmp_path / "depth.npz", COUNT)["disparity"], maps())


def test_no_file_and_another_length(tmp_path: Path) -> None:
    assert read_maps(tmp_path / "depth.npz", COUNT) == {}
    write_maps(tmp_path / "depth.npz", "depth", iter(maps()), COUNT, compact=False)
    with pytest.raises(InputError, match=r"`depth` has shape \(6, 7, 9\), expected \(7, h, w\)"):
        read_maps(tmp_path / "depth.npz", COUNT + 1)
