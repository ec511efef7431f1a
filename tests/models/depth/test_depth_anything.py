"""Depth Anything on a tiny network: as transformers' own pipeline, batched, refusing what it is not."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

pytest.importorskip("transformers")

from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import pipeline
from transformers.utils import logging as transformers_logging

from models.depth.depth_anything import DepthAnything, load_depth_anything
from models.errors import InputError
from tests.models.depth.tiny import save_tiny

CPU = torch.device("cpu")
NEXT = "Fetch it."


def pictures(count: int, height: int = 90, width: int = 60) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(0)
    return [random.integers(0, 255, (height, width, 3), dtype=np.uint8) for _ in range(count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "depth ü")


def load(folder: Path) -> DepthAnything:
    return load_depth_anything(folder, CPU, NEXT)


def test_maps_are_those_of_the_librarys_pipeline(folder: Path) -> None:
    image = pictures(1, 84, 56)[0]  # what the network takes, so that the library does not scale its map
    (found,) = load(folder).estimate([image])
    wanted = pipeline("depth-estimation", str(folder), device=-1)(Image.fromarray(image))["predicted_depth"]
    assert found.shape == (84, 56)
    assert found.dtype == np.float32
    assert found.std() > 0.01
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_maps_have_the_networks_size_where_that_is_smaller(folder: Path) -> None:
    assert load(folder).estimate(pictures(1, 180, 120)).shape == (1, 84, 56)


def test_a_batch_gives_what_single_pictures_give(folder: Path) -> None:
    network, images = load(folder), pictures(3)
    together = network.estimate(images)
    for image, values in zip(images, together, strict=True):
        np.testing.assert_allclose(network.estimate([image])[0], values, atol=1e-5)


def test_maps_are_never_larger_than_the_pictures(folder: Path) -> None:
    assert load(folder).estimate(pictures(2, 40, 50)).shape == (2, 40, 50)


@pytest.mark.parametrize(("kind", "name"), [("relative", "disparity"), ("metric", "depth")])
def test_the_kind_is_the_checkpoints(tmp_path: Path, kind: str, name: str) -> None:
    network = load(save_tiny(tmp_path / kind, kind, max_depth=20))
    assert network.kind == name
    values = network.estimate(pictures(1))
    if kind == "metric":
        assert values.min() > 0
        assert values.max() <= 20


def test_values_that_are_no_numbers_are_unknown(folder: Path) -> None:
    network = load(folder)
    torch.nn.init.constant_(network.module.head.conv3.bias, torch.nan)
    assert not network.estimate(pictures(1)).any()


def test_the_librarys_own_talk_is_left_as_it_was(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    load(folder)
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == before
    assert capfd.readouterr() == ("", "")


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def text_for_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_text("<html>not found</html>")


def without_preprocessing(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()


def broken_configuration(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def another_type(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))


def a_tensor_missing(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["head.conv1.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def another_size(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["head.conv1.weight"] = torch.zeros(3, 3, 3, 3)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def a_pickle_in_its_place(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")


FLAWS = {
    cut: "cannot be loaded",
    without_weights: "model.safetensors",
    text_for_weights: "cannot be loaded",
    without_preprocessing: "cannot be loaded",
    broken_configuration: "cannot be loaded",
    another_type: "a model of the type vit, not depth_anything",
    a_tensor_missing: "1 of the network's tensors are missing (head.conv1.weight)",
    another_size: "1 of the network's tensors have another shape (head.conv1.weight)",
    a_pickle_in_its_place: "model.safetensors",
}


@pytest.mark.parametrize("damage", FLAWS)
def test_a_folder_that_does_not_fit_is_named(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    with pytest.raises(InputError) as refused:
        load(folder)
    assert str(folder) in refused.value.problem
    assert FLAWS[damage] in refused.value.problem
    assert refused.value.next_step == NEXT


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    for name in ("nowhere", "file"):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=f"{name}.* is no folder"):
            load(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission_are_named(folder: Path) -> None:
    (folder / "model.safetensors").chmod(0)
    with pytest.raises(InputError, match="cannot be"):
        load(folder)
