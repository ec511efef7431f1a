"""Stage masks with Segment Anything: the tiny network end to end, and a made-up one whose masks are known."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

pytest.importorskip("segment_anything")

from models.errors import InputError
from models.people import Landmarks
from models.segmentation import sam as networks
from models.segmentation.choice import Candidates
from models.segmentation.prompts import Prompt
from models.segmentation.views import View
from stages.base import Work
from stages.masks import STAGE, MasksSettings, choose_engine, prompted
from stages.masks.prompted import _Memory
from tests.made_up_weights import install
from tests.models.segmentation.scenes import clip, iou
from tests.models.segmentation.tiny import save_tiny, tiny_network
from tests.stages import test_masks
from tests.stages.conftest import CallStage
from tests.stages.test_masks import COUNT, masks_in, valid_in

inputs = test_masks.inputs  # the folders of frames and detect

CELLS = 64
JOINTS = {0: (0, 35), 11: (8, 52), 12: (-8, 52), 23: (7, 90), 24: (-7, 90), 25: (9, 115), 26: (-9, 115)}
MISSING = 3  # the frame in which the fixture's person is not seen


class KnownMasks:
    """Looks like `Sam`; draws the truth, its upper half and everything, and counts what it is asked."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.truths = clip(COUNT)[2]
        self.frames: dict[bytes, int] = {image.tobytes(): i for i, image in enumerate(clip(COUNT)[0])}
        self.looked: list[int] = []
        self.prompts: dict[int, Prompt] = {}
        self.hinted: list[int] = []
        self.bad: tuple[int, ...] = ()

    def view(self, box: NDArray[np.float64], picture: tuple[int, int]) -> View:
        return View.around(box, picture, 4 * CELLS, CELLS)

    def look(self, images: Sequence[NDArray[np.uint8]], views: Sequence[View]) -> Tensor:
        indices = [self.frames[image.tobytes()] for image in images]
        self.looked += indices
        return torch.tensor(indices, dtype=torch.float16).reshape(-1, 1, 1, 1)

    def draw(self, embedding: Tensor, view: View, prompt: Prompt, hint: Any = None) -> Candidates:
        index = int(embedding)
        self.prompts[index] = prompt
        logits = self._logits(self.truths[index], view)
        half = logits.copy()
        half[CELLS // 2 :] = -5
        if hint is not None:
            self.hinted.append(index)
            return Candidates(logits[None], np.ones(1, np.float32))
        masks = [half] * 3 if index in self.bad else [half, logits, np.full_like(logits, 5)]
        return Candidates(np.array(masks), np.array([0.7, 0.9, 0.5], np.float32))

    def _logits(self, truth: NDArray[np.bool_], view: View) -> NDArray[np.float32]:
        factor, offset = view.to_cells()
        places = ((np.arange(CELLS)[:, None] + 0.5 - offset) / factor).astype(int)
        rows, columns = (np.clip(places[:, axis], 0, truth.shape[1 - axis] - 1) for axis in (1, 0))
        return np.where(truth[np.ix_(rows, columns)], 5, -5).astype(np.float32)


@pytest.fixture
def detected(inputs: dict[str, Path]) -> dict[str, Path]:
    """The fixture's folders with landmarks and a second person, who is beside the subject at the end."""
    image = np.zeros((6, COUNT, 33, 3))
    for frame in range(COUNT):
        for joint, (x, y) in JOINTS.items():
            image[:, frame, joint] = (50 + 12 * frame + x, y, 0.9)
    valid = np.tile(np.arange(COUNT) != MISSING, (6, 1))
    Landmarks(image, np.zeros((2, COUNT, 33, 3)), valid).save(inputs["detect"] / "landmarks.npz")
    (inputs["detect"] / "tracks.json").write_text('{"chosen": 2, "people": []}')
    hips = np.array([[[200.0, 90]] * COUNT, [[50 + 12 * frame, 90] for frame in range(COUNT)]])
    up, seen = np.tile([0, -40.0], (2, COUNT, 1)), np.ones((2, COUNT), bool)
    np.savez(inputs["detect"] / "people.npz", hips=hips, up=up, seen=seen)
    return inputs


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> KnownMasks:
    network = KnownMasks()
    monkeypatch.setattr(prompted, "_load", lambda settings: network)
    install("sam_vit_b")
    return network


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "cache"))
    yield


def test_the_subjects_mask_is_drawn_in_every_frame(
    detected: dict[str, Path], known: KnownMasks, call_stage: CallStage
) -> None:
    summary, folder = call_stage(STAGE, MasksSettings(), **detected)
    masks = masks_in(folder)
    for index, (mask, truth) in enumerate(zip(masks, known.truths, strict=True)):
        if index != MISSING:
            assert iou(mask / np.float32(255), truth) > 0.9  # cells of two pixels
            assert np.any((mask > 0) & (mask < 255))
    assert masks[MISSING].max() == 0
    np.testing.assert_array_equal(valid_in(folder), np.arange(COUNT) != MISSING)
    assert (summary["frames"], summary["valid"], summary["model"]) == (COUNT, COUNT - 1, "vit_b")
    assert (summary["redrawn"], summary["interpolated"], summary["warnings"]) == (0, 0, [])


def test_every_picture_is_looked_at_once_even_where_a_mask_is_drawn_again(
    detected: dict[str, Path], known: KnownMasks, call_stage: CallStage
) -> None:
    known.bad = (6,)
    summary, folder = call_stage(STAGE, MasksSettings(), **detected)
    assert known.looked == [index for index in range(COUNT) if index != MISSING]
    assert known.hinted == [6]
    assert (summary["redrawn"], summary["interpolated"]) == (1, 0)
    assert iou(masks_in(folder)[6] / np.float32(255), known.truths[6]) > 0.9


def test_other_people_get_negative_points_where_they_reach_into_the_box(
    detected: dict[str, Path], known: KnownMasks, call_stage: CallStage
) -> None:
    call_stage(STAGE, MasksSettings(), **detected)
    assert known.prompts[0].on_subject.all()
    last = known.prompts[COUNT - 1]
    np.testing.assert_allclose(last.points[~last.on_subject], [[200, 90], [200, 74]])
    assert last.on_subject.sum() == len(JOINTS)


def test_what_the_network_said_is_kept_and_damage_noticed(tmp_path: Path) -> None:
    memory, dice = _Memory(tmp_path), np.random.default_rng(0)
    assert 3 not in memory
    found = Candidates(dice.normal(size=(3, 8, 8)).astype(np.float16).astype(np.float32), np.arange(3.0))
    memory.add(3, torch.arange(24.0), found)
    assert 3 in memory
    np.testing.assert_array_equal(memory.candidates(3).logits, found.logits)
    path = tmp_path / "000003.npz"
    whole = path.read_bytes()
    for place in dice.integers(len(whole), size=100):
        path.write_bytes(whole[:place])
        assert 3 not in memory
        content = bytearray(whole)
        content[place] ^= 1 << int(dice.integers(8))
        path.write_bytes(content)
        if 3 in memory:  # the archive's own dates and the like have no checksum
            assert torch.equal(memory.embedding(3), torch.arange(24.0))
            np.testing.assert_array_equal(memory.candidates(3).logits, found.logits)
            np.testing.assert_array_equal(memory.candidates(3).scores, found.scores)


def test_a_stopped_run_goes_on(detected: dict[str, Path], known: KnownMasks, tmp_path: Path) -> None:
    output, scratch = tmp_path / "output", tmp_path / "scratch"
    output.mkdir()
    scratch.mkdir()

    def stop(done: int, total: int, note: str = "") -> None:
        if done == 4:
            raise KeyboardInterrupt

    settings = MasksSettings()
    with pytest.raises(KeyboardInterrupt):
        STAGE.run(Work(detected, output, scratch, settings, "sam", stop))
    told: list[int] = []
    STAGE.run(
        Work(detected, output, scratch, settings, "sam", lambda done, total, note="": told.append(done))
    )
    assert known.looked == [index for index in range(COUNT) if index != MISSING]
    assert told == sorted(told)
    assert told[-1] == 2 * COUNT


def test_the_tiny_network_end_to_end(
    detected: dict[str, Path], call_stage: CallStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its masks mean nothing; everything between the checkpoint and the files is the real code."""
    monkeypatch.setitem(networks.NETWORKS, "vit_b", tiny_network)
    monkeypatch.setattr("stages.masks.writing.MIN_SHARE", 0.0)
    settings = MasksSettings(engine="sam", weights=save_tiny(tmp_path / "tiny.pth"), device="cpu")
    summary, folder = call_stage(STAGE, settings, **detected)
    assert len(masks_in(folder)) == COUNT
    assert summary["model"] == "vit_b"


@pytest.mark.parametrize("content", [b"", b"numbers"])
def test_fetched_weights_that_are_none(
    detected: dict[str, Path], call_stage: CallStage, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setitem(networks.NETWORKS, "vit_b", tiny_network)
    install("sam_vit_b", content)
    with pytest.raises(InputError, match=r"sam_vit_b.*\.pth is damaged") as refused:
        call_stage(STAGE, MasksSettings(device="cpu"), **detected)
    assert "weights fetch sam_vit_b --force" in refused.value.next_step


def test_choice_of_the_engine(tmp_path: Path) -> None:
    assert choose_engine(MasksSettings()) == "blazepose"
    with pytest.raises(InputError, match="SAM ViT-H are not here"):
        choose_engine(MasksSettings(engine="sam", model="vit_h"))
    install("sam_vit_b")
    assert choose_engine(MasksSettings()) == "sam"
    assert choose_engine(MasksSettings(model="vit_l")) == "blazepose"
    assert choose_engine(MasksSettings(engine="blazepose")) == "blazepose"
    assert choose_engine(MasksSettings(model="vit_l", weights=tmp_path / "own.pth")) == "sam"
    assert choose_engine(MasksSettings(file=tmp_path)) == "file"
