"""Segment Anything on a tiny network of its own classes: the same as its authors' code, batched, and loaded
from files that may be anything."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

segment_anything = pytest.importorskip("segment_anything")

from models.errors import InputError  # noqa: E402
from models.segmentation import sam as module  # noqa: E402
from models.segmentation.prompts import Prompt  # noqa: E402
from models.segmentation.sam import Sam, load_sam  # noqa: E402
from models.segmentation.views import View  # noqa: E402
from tests.models.segmentation.tiny import SIDE, save_tiny, tiny_network  # noqa: E402

CPU = torch.device("cpu")
PICTURE = (96, SIDE)  # width, height: the network's own scale, so that nothing is resampled
NEXT = "Fetch it."


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.NETWORKS, "vit_b", tiny_network)


@pytest.fixture
def sam(tmp_path: Path) -> Sam:
    return load_sam(save_tiny(tmp_path / "sam.pth"), "vit_b", CPU)


def picture(seed: int, width: int = PICTURE[0], height: int = PICTURE[1]) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def prompt(points: int = 3) -> Prompt:
    places = np.array([[40.2, 50.7], [44, 90], [20, 30]])[:points]
    return Prompt(np.array([20.0, 10, 70, 120]), places, np.array([True, True, False])[:points])


def whole_picture(sam: Sam) -> View:
    return sam.view(np.array([-30.0, -30, 130, 160]), PICTURE)


@pytest.mark.parametrize("points", [0, 3])
def test_masks_are_those_of_the_authors_predictor(sam: Sam, points: int) -> None:
    image, asked, view = picture(0), prompt(points), whole_picture(sam)
    assert (view.width, view.height) == PICTURE
    (embedding,) = sam.look([image], [view])
    found = sam.draw(embedding, view, asked)

    predictor = segment_anything.SamPredictor(sam.module)
    predictor.set_image(image)
    _, scores, logits = predictor.predict(
        point_coords=asked.points - 0.5 if points else None,  # pixels have whole numbers there
        point_labels=asked.on_subject.astype(int) if points else None,
        box=asked.box - 0.5,
    )
    assert found.logits.shape == (3, 64, 64)
    np.testing.assert_allclose(found.scores, scores, atol=2e-3)
    np.testing.assert_allclose(found.logits, logits, atol=2e-3 * np.abs(logits).max())


def test_the_hint_is_the_authors_mask_input(sam: Sam) -> None:
    image, asked, view = picture(0), prompt(), whole_picture(sam)
    hint = np.random.default_rng(1).normal(0, 5, (64, 64)).astype(np.float32)
    (embedding,) = sam.look([image], [view])
    found = sam.draw(embedding, view, asked, hint)
    assert found.logits.shape == (1, 64, 64)

    predictor = segment_anything.SamPredictor(sam.module)
    predictor.set_image(image)
    _, _, logits = predictor.predict(
        asked.points - 0.5, asked.on_subject.astype(int), asked.box - 0.5, hint[None], multimask_output=False
    )
    np.testing.assert_allclose(found.logits, logits, atol=2e-3 * np.abs(logits).max())
    without = sam.draw(embedding, view, asked).logits[0]
    assert not np.allclose(found.logits[0], without, atol=0.1 * np.abs(logits).max())


def test_a_batch_gives_what_single_pictures_give(sam: Sam) -> None:
    images = [picture(seed, 200, 150) for seed in range(3)]
    boxes = [np.array([20.0, 10, 70, 120]), np.array([100.0, 5, 190, 140]), np.array([0.0, 0, 30, 30])]
    views = [sam.view(box, (200, 150)) for box in boxes]
    together = sam.look(images, views)
    assert together.shape == (3, 32, 16, 16)
    assert together.dtype == torch.float16
    for image, view, embedding in zip(images, views, together, strict=True):
        torch.testing.assert_close(sam.look([image], [view])[0], embedding, atol=2e-3, rtol=2e-3)


def test_only_the_view_is_looked_at(sam: Sam) -> None:
    image, box = picture(0, 300, 200), np.array([100.0, 60, 140, 140])
    view = sam.view(box, (300, 200))
    elsewhere = picture(1, 300, 200)
    elsewhere[view.region] = image[view.region]
    torch.testing.assert_close(sam.look([image], [view]), sam.look([elsewhere], [view]), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "width", "depth"), [("vit_b", 768, 12), ("vit_l", 1024, 24), ("vit_h", 1280, 32)]
)
def test_the_networks_have_the_published_sizes(
    monkeypatch: pytest.MonkeyPatch, name: str, width: int, depth: int
) -> None:
    monkeypatch.undo()
    with torch.device("meta"):
        state = module.NETWORKS[name]().state_dict()
    assert state["image_encoder.pos_embed"].shape == (1, 64, 64, width)
    assert f"image_encoder.blocks.{depth - 1}.norm1.weight" in state
    assert f"image_encoder.blocks.{depth}.norm1.weight" not in state


def test_another_models_checkpoint_is_refused(tmp_path: Path) -> None:
    other = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    torch.save(other.state_dict(), tmp_path / "yolo.pt")
    with pytest.raises(InputError) as refused:
        load_sam(tmp_path / "yolo.pt", "vit_b", CPU, NEXT)
    assert "yolo.pt does not hold the weights of SAM vit_b" in refused.value.problem
    assert "tensors are missing (" in refused.value.problem
    assert "4 belong to something else (0.weight, 0.bias, 1.weight, ...)" in refused.value.problem
    assert refused.value.next_step == NEXT


def test_a_checkpoint_of_another_size_is_refused(tmp_path: Path) -> None:
    state = tiny_network().state_dict()
    state["image_encoder.pos_embed"] = torch.zeros(1, 16, 16, 24)
    torch.save(state, tmp_path / "sam_vit_l.pth")
    with pytest.raises(InputError, match=r"image_encoder\.pos_embed is 1x16x16x24 instead of 1x16x16x16"):
        load_sam(tmp_path / "sam_vit_l.pth", "vit_b", CPU, NEXT)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_checkpoint_without_permission_is_named(tmp_path: Path) -> None:
    path = save_tiny(tmp_path / "sam.pth")
    path.chmod(0)
    with pytest.raises(InputError, match=r"sam\.pth.* cannot be read: Permission denied"):
        load_sam(path, "vit_b", CPU, NEXT)
