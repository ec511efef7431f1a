"""Pictures on disk are the renderer's."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import Motion
from stages.probe import probe
from stages.render import plan, write_pictures
from stages.render.drawing import straight
from stages.video import read_video
from tests.models.avatar.scenes import CAMERA, HEIGHT, WIDTH
from tests.stages.render.conftest import FRAMES

GREEN = (0.2, 0.7, 0.1)


@pytest.fixture
def renderings(avatar: Avatar, motion: Motion) -> torch.Tensor:
    """(T, H, W, 4), colour premultiplied by alpha."""
    return avatar.pose(motion.poses, motion.trans).render(CAMERA)


def test_transparent_pngs_have_straight_alpha(
    avatar: Avatar, motion_file: Path, renderings: torch.Tensor, tmp_path: Path
) -> None:
    (take,), _ = plan(avatar, motion_file)
    write_pictures(tmp_path, avatar, take, None)
    pictures = [
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]
        for path in sorted(tmp_path.glob("0*.png"))
    ]
    assert len(pictures) == FRAMES
    for picture, expected in zip(pictures, renderings.numpy(), strict=True):
        assert picture.shape == (HEIGHT, WIDTH, 4) and picture.dtype == np.uint8
        alpha = picture[..., 3:] / 255
        np.testing.assert_allclose(alpha, expected[..., 3:], atol=0.003)
        # Laid over anything as every program does, it is what the renderer gives over that.
        laid = picture[..., :3] / 255 * alpha + (1 - alpha) * GREEN
        over = expected[..., :3] + (1 - expected[..., 3:]) * GREEN
        np.testing.assert_allclose(laid, over, atol=0.006)
        faint = (alpha[..., 0] > 0.1) & (alpha[..., 0] < 0.4)
        assert picture[faint][:, :3].max() > 130, "the colour of the edge, not of the edge before black"


def test_over_a_colour_there_is_no_alpha(
    avatar: Avatar, motion_file: Path, renderings: torch.Tensor, tmp_path: Path
) -> None:
    (take,), _ = plan(avatar, motion_file)
    told: list[tuple[int, int]] = []
    write_pictures(tmp_path, avatar, take, GREEN, lambda done, total, note="": told.append((done, total)))
    picture = cv2.imread(str(tmp_path / "000002.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    color, alpha = renderings[2].numpy()[..., :3], renderings[2].numpy()[..., 3:]
    np.testing.assert_allclose(picture / 255, color + (1 - alpha) * GREEN, atol=0.003)
    assert told == [(n + 1, FRAMES) for n in range(FRAMES)]


def test_transparency_is_black_where_there_is_nothing() -> None:
    picture = torch.tensor([[[0.0, 0, 0, 0], [0.25, 0.125, 0, 0.5], [1.2, 0.5, 0, 1]]])
    assert straight(picture)[0].tolist() == [[0, 0, 0, 0], [128, 64, 0, 128], [255, 128, 0, 255]]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "h264"), ("a.webm", "vp9")])
def test_videos_show_the_pictures(
    avatar: Avatar, motion_file: Path, renderings: torch.Tensor, tmp_path: Path, name: str, codec: str
) -> None:
    (take,), _ = plan(avatar, motion_file)
    write_pictures(tmp_path / name, avatar, take, GREEN)
    info = probe(tmp_path / name)
    assert (info.width, info.height, len(info.times)) == (WIDTH, HEIGHT, FRAMES)
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].codec_context.name == codec
    *_, (_, last) = read_video(info, (WIDTH, HEIGHT), every=1 / take.fps)
    color, alpha = renderings[-1].numpy()[..., :3], renderings[-1].numpy()[..., 3:]
    error = np.abs(last / 255 - color - (1 - alpha) * GREEN)
    assert error.mean() < 0.03 and np.median(error[:5]) < 0.02


def test_a_webm_is_transparent(
    avatar: Avatar, motion_file: Path, renderings: torch.Tensor, tmp_path: Path
) -> None:
    (take,), _ = plan(avatar, motion_file, size=(2 * WIDTH + 1, 2 * HEIGHT + 1))
    write_pictures(tmp_path / "a.webm", avatar, take, None)
    with av.open(str(tmp_path / "a.webm")) as container:
        stream = container.streams.video[0]
        assert stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) == "1"
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        frames = [
            frame for packet in container.demux(stream) if packet.size for frame in decoder.decode(packet)
        ]
    alpha = frames[0].to_ndarray(format="rgba")[: 2 * HEIGHT : 2, : 2 * WIDTH : 2, 3] / 255
    expected = renderings[0, ..., 3].numpy()
    assert np.abs(alpha - expected).mean() < 0.05 and alpha.max() > 0.9 and alpha.min() == 0
