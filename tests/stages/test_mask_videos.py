"""Stage masks: the user's masks as a video, of any codec, with or without transparency."""

import subprocess
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import InputError
from stages.images import write_image
from stages.masks import STAGE, MasksSettings
from tests.models.segmentation.scenes import clip, iou
from tests.stages import test_masks
from tests.stages.conftest import CallStage, MakeClip
from tests.stages.test_masks import COUNT, masks_in, save_masks, valid_in

inputs = test_masks.inputs  # the folders of frames and detect

CODECS = {
    "matte.mp4": ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "10"),
    "matte.avi": ("-c:v", "ffv1", "-pix_fmt", "gray"),
}
TRANSPARENT = {
    "matte.mov": ("-c:v", "qtrle", "-pix_fmt", "argb"),
    "prores.mov": ("-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"),
    "matte.webm": ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-crf", "10", "-b:v", "0"),
}


def video(make_clip: MakeClip, folder: Path, name: str, *options: str) -> Path:
    pattern = folder / "mask_%d.png"
    return make_clip(name, *options, source=pattern, before=("-framerate", "15"))


def check(folder: Path, least: float = 0.97) -> None:
    _, _, truths = clip(COUNT)
    masks = masks_in(folder)
    assert len(masks) == COUNT
    for mask, truth in zip(masks, truths, strict=True):
        assert iou(mask / np.float32(255), truth) > least


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("step", [1, 2])
def test_a_video_with_a_picture_for_every_frame(
    inputs: dict[str, Path], call_stage: CallStage, make_clip: MakeClip, tmp_path: Path, name: str, step: int
) -> None:
    mine = video(make_clip, save_masks(tmp_path / "mine", COUNT * step, step=step), name, *CODECS[name])
    summary, folder = call_stage(STAGE, MasksSettings(file=mine), **inputs)
    check(folder)
    assert summary["source"] == str(mine)
    np.testing.assert_array_equal(valid_in(folder), np.arange(COUNT) != 3)


@pytest.mark.parametrize("name", TRANSPARENT)
def test_transparency_counts_where_there_is_any(
    inputs: dict[str, Path], call_stage: CallStage, make_clip: MakeClip, tmp_path: Path, name: str
) -> None:
    images, _, truths = clip(COUNT)
    (tmp_path / "mine").mkdir()
    for index, (image, truth) in enumerate(zip(images, truths, strict=True)):
        bgra = np.dstack([image[..., ::-1], np.where(truth, 255, 0)]).astype(np.uint8)
        (tmp_path / "mine" / f"mask_{index}.png").write_bytes(cv2.imencode(".png", bgra)[1].tobytes())
    mine = video(make_clip, tmp_path / "mine", name, *TRANSPARENT[name])
    _, folder = call_stage(STAGE, MasksSettings(file=mine), **inputs)
    check(folder)


def test_another_size(
    inputs: dict[str, Path], call_stage: CallStage, make_clip: MakeClip, tmp_path: Path
) -> None:
    mine = video(make_clip, save_masks(tmp_path / "mine", COUNT, 3), "matte.mp4", *CODECS["matte.mp4"])
    _, folder = call_stage(STAGE, MasksSettings(file=mine), **inputs)
    check(folder)


def refuse(call_stage: CallStage, inputs: dict[str, Path], path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        call_stage(STAGE, MasksSettings(file=path), **inputs)
    for word in (path.name, *words):
        assert word in caught.value.problem
    assert caught.value.next_step


def test_a_video_of_another_length(
    inputs: dict[str, Path], call_stage: CallStage, make_clip: MakeClip, tmp_path: Path
) -> None:
    mine = video(make_clip, save_masks(tmp_path / "mine", 5), "matte.mp4", *CODECS["matte.mp4"])
    refuse(call_stage, inputs, mine, "5 masks", f"{COUNT} frames are kept of {2 * COUNT}")


def test_a_video_of_another_shape(
    inputs: dict[str, Path], call_stage: CallStage, make_clip: MakeClip, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    for index in range(COUNT):
        write_image(tmp_path / "mine" / f"mask_{index}.png", np.full((240, 160), 255, np.uint8))
    mine = video(make_clip, tmp_path / "mine", "matte.mp4", *CODECS["matte.mp4"])
    refuse(call_stage, inputs, mine, "160x240", "240x160")


@pytest.mark.parametrize("content", [b"", b"no video", b"#EXTM3U\nfile:///etc/passwd\n"])
def test_what_is_no_video(
    inputs: dict[str, Path], call_stage: CallStage, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "matte ü.mp4"
    path.write_bytes(content)
    refuse(call_stage, inputs, path)


def test_a_video_that_breaks_off(
    inputs: dict[str, Path], call_stage: CallStage, make_clip: MakeClip, tmp_path: Path
) -> None:
    """The packets are counted, but from the middle on they are no pictures."""
    mine = video(make_clip, save_masks(tmp_path / "mine", COUNT), "matte.avi", "-c:v", "mjpeg", "-q:v", "2")
    data = bytearray(mine.read_bytes())
    chunks = [
        place
        for place in range(data.index(b"movi"), data.index(b"idx1"))
        if data[place : place + 4] == b"00dc"
    ]
    assert len(chunks) == COUNT
    for start, end in pairwise(chunks[COUNT // 2 :]):
        data[start + 8 : end] = bytes(end - start - 8)
    mine.write_bytes(data)
    refuse(call_stage, inputs, mine, f"only {COUNT // 2 + 1} of the {COUNT} masks needed can be decoded")


def test_no_process_is_left_behind(
    inputs: dict[str, Path], call_stage: CallStage, make_clip: MakeClip, tmp_path: Path
) -> None:
    mine = video(make_clip, save_masks(tmp_path / "mine", COUNT), "matte.mp4", *CODECS["matte.mp4"])
    call_stage(STAGE, MasksSettings(file=mine), **inputs)
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(mine) not in listing
