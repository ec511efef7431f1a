"""Stage masks: the embedded engine on a made-up clip, and the user's own masks, fitting or not."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmarks.masks import SEQUENCES, everything, read_clip, truth_of
from benchmarks.masks import iou as bench_iou
from models.errors import InputError
from stages.images import read_image, write_image
from stages.masks import STAGE, MasksSettings, choose_engine
from tests.models.segmentation.scenes import clip, iou
from tests.stages.conftest import CallStage, FramesFolder

COUNT = 8
BENCH = Path(os.environ.get("HSPLAT_SHARED", Path(__file__).parents[3] / "shared")) / "bench"


@pytest.fixture
def inputs(frames_folder: FramesFolder, tmp_path: Path) -> dict[str, Path]:
    """The folders of frames and detect; the person is missing in frame 3."""
    images, probabilities, truths = clip(COUNT)
    detect = tmp_path / "detect"
    (detect / "silhouettes").mkdir(parents=True)
    valid = np.arange(COUNT) != 3
    boxes = np.array([cv2.boundingRect(truth.astype(np.uint8)) for truth in truths], dtype=np.float64)
    boxes[:, 2:] += boxes[:, :2]
    for index, probability in enumerate(probabilities):
        grey = np.round(255 * probability * valid[index]).astype(np.uint8)
        write_image(detect / "silhouettes" / f"{index:06d}.png", grey)
    np.savez(detect / "subject.npz", boxes=boxes, scores=valid * 1.0, valid=valid)
    return {"frames": frames_folder(images), "detect": detect}


def save_masks(folder: Path, count: int, scale: int = 1, step: int = 1) -> Path:
    folder.mkdir()
    _, _, truths = clip(COUNT)
    for index in range(count):
        mask = np.where(truths[index // step], 255, 0).astype(np.uint8)
        # no leading zeros: the order must be that of the numbers
        write_image(folder / f"mask_{index}.png", np.kron(mask, np.ones((scale, scale), np.uint8)))
    return folder


def masks_in(folder: Path) -> list[NDArray[np.uint8]]:
    return [read_image(path)[..., 0] for path in sorted(folder.glob("*.png"))]


def valid_in(folder: Path) -> NDArray[np.bool_]:
    with np.load(folder / "masks.npz", allow_pickle=False) as file:
        return np.asarray(file["valid"])


def test_silhouettes_are_refined(inputs: dict[str, Path], call_stage: CallStage) -> None:
    summary, folder = call_stage(STAGE, MasksSettings(), **inputs)
    masks, (_, _, truths) = masks_in(folder), clip(COUNT)
    assert len(masks) == COUNT
    assert masks[0].shape == truths[0].shape
    for index in (0, 1, 2, 4, 5, 6, 7):
        assert iou(masks[index] / np.float32(255), truths[index]) > 0.95
    np.testing.assert_array_equal(valid_in(folder), np.arange(COUNT) != 3)
    assert masks[3].max() == 0
    assert summary == {"frames": COUNT, "valid": COUNT - 1, "still_camera": True}


def test_a_frame_without_a_mask_is_marked(inputs: dict[str, Path], call_stage: CallStage) -> None:
    write_image(inputs["detect"] / "silhouettes" / "000005.png", np.zeros((160, 240), np.uint8))
    _, folder = call_stage(STAGE, MasksSettings(), **inputs)
    assert not valid_in(folder)[5]
    assert valid_in(folder).sum() == COUNT - 2


def test_nobody_in_any_frame(inputs: dict[str, Path], call_stage: CallStage) -> None:
    for path in (inputs["detect"] / "silhouettes").iterdir():
        write_image(path, np.zeros((160, 240), np.uint8))
    with pytest.raises(InputError, match="No frame has a usable mask"):
        call_stage(STAGE, MasksSettings(), **inputs)


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("step", [1, 2])
def test_users_masks_of_frames_kept_or_of_the_video_at_any_size(
    inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path, scale: int, step: int
) -> None:
    mine = save_masks(tmp_path / "my masks ü", COUNT * step, scale, step)
    _, folder = call_stage(STAGE, MasksSettings(file=mine), **inputs)
    _, _, truths = clip(COUNT)
    for mask, truth in zip(masks_in(folder), truths, strict=True):
        assert iou(mask / np.float32(255), truth) > 0.99
    np.testing.assert_array_equal(valid_in(folder), np.arange(COUNT) != 3)


def test_more_than_ten_masks_are_in_the_order_of_their_numbers(
    inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path
) -> None:
    mine = save_masks(tmp_path / "mine", 2 * COUNT, step=2)
    assert sorted(path.name for path in mine.iterdir())[1] == "mask_1.png"
    assert sorted(path.name for path in mine.iterdir())[2] == "mask_10.png"
    _, folder = call_stage(STAGE, MasksSettings(file=mine), **inputs)
    _, _, truths = clip(COUNT)
    assert iou(masks_in(folder)[1] / np.float32(255), truths[1]) > 0.99


def test_users_empty_mask_marks_the_frame(
    inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path
) -> None:
    mine = save_masks(tmp_path / "mine", COUNT)
    write_image(mine / "mask_6.png", np.zeros((160, 240), np.uint8))
    _, folder = call_stage(STAGE, MasksSettings(file=mine), **inputs)
    assert not valid_in(folder)[6]


def refuse(call_stage: CallStage, inputs: dict[str, Path], folder: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        call_stage(STAGE, MasksSettings(file=folder), **inputs)
    for word in words:
        assert word in caught.value.problem
    assert caught.value.next_step


def test_wrong_number_of_masks(inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path) -> None:
    mine = save_masks(tmp_path / "mine", 5)
    refuse(call_stage, inputs, mine, str(mine), "5 masks", f"{COUNT} frames", f"of {2 * COUNT}")


def test_empty_folder(inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    refuse(call_stage, inputs, tmp_path / "mine", "0 masks")


@pytest.mark.parametrize(("name", "words"), [("nowhere", "does not exist"), ("mask.txt", "is not a video")])
def test_neither_a_folder_nor_a_video(
    inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "mask.txt").write_text("white")
    refuse(call_stage, inputs, tmp_path / name, words)


def test_mask_that_is_no_picture(inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path) -> None:
    mine = save_masks(tmp_path / "mine", COUNT)
    (mine / "mask_4.png").write_text("no picture")
    refuse(call_stage, inputs, mine, "mask_4.png", "cannot be read")


def test_empty_mask_file(inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path) -> None:
    mine = save_masks(tmp_path / "mine", COUNT)
    (mine / "mask_0.png").write_bytes(b"")
    refuse(call_stage, inputs, mine, "mask_0.png", "cannot be read")


def test_masks_of_another_shape(inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path) -> None:
    mine = save_masks(tmp_path / "mine", COUNT)
    write_image(mine / "mask_2.png", np.full((240, 160), 255, np.uint8))
    refuse(call_stage, inputs, mine, "mask_2.png", "160x240", "240x160")


def test_masks_of_something_else(inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    elsewhere = np.zeros((160, 240), np.uint8)
    elsewhere[:10, 230:] = 255
    for index in range(COUNT):
        write_image(mine / f"{index}.png", elsewhere)
    refuse(call_stage, inputs, mine, str(mine), "no mask covers the person")


def test_choice_of_the_engine(tmp_path: Path) -> None:
    assert choose_engine(MasksSettings()) == "blazepose"
    assert choose_engine(MasksSettings(engine="blazepose")) == "blazepose"
    assert choose_engine(MasksSettings(file=tmp_path)) == "file"
    with pytest.raises(ValidationError):
        MasksSettings(engine="magic")


@pytest.mark.skipif(not BENCH.is_dir(), reason="the benchmark sequences are not here (HSPLAT_SHARED)")
def test_silhouettes_of_the_benchmark() -> None:
    scores = []
    for sequence in SEQUENCES:
        masks = everything(read_clip(BENCH / sequence / "video.mp4", fps=5))
        pairs = zip(masks, truth_of(BENCH / sequence)[::3], strict=True)
        scores.append(np.mean([bench_iou(mask, truth) for mask, truth in pairs]))
    assert np.mean(scores) > 0.955
    assert min(scores) > 0.94
