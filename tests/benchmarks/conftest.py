"""A benchmark of one small sequence that the renderer itself has drawn, in the shared sequences' formats."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import load_embedded_body
from models.cameras import Camera
from stages.images import write_image
from stages.video import write_video
from tests.models.avatar.scenes import HEIGHT, WIDTH, K, true_avatar, true_motion

FRAMES = 12
GREEN = np.array([40, 120, 60], np.uint8)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bench")
    folder = root / "seq00_wave"
    (folder / "novel").mkdir(parents=True)
    (folder / "novel_pose").mkdir()
    body = load_embedded_body()
    avatar = true_avatar(body)
    poses, trans = true_motion(FRAMES)
    posed = body.pose(poses, trans, torch.zeros(10))
    drawn = [_drawn(avatar, pose, place) for pose, place in zip(poses, trans, strict=True)]
    write_video(folder / "video.mp4", [image for image, _ in drawn], 15.0)
    np.savez(folder / "masks.npz", masks=np.stack([mask for _, mask in drawn]))
    truth = {
        "fps": 15,
        "width": WIDTH,
        "height": HEIGHT,
        "K": K,
        "T_world_cam": np.tile(np.eye(4), (FRAMES, 1, 1)),
        "poses_cam": poses.numpy(),
        "trans_cam": trans.numpy(),
        "betas": np.zeros(10),
        "joints_cam": posed.joints.numpy(),
    }
    np.savez(folder / "gt.npz", **truth)
    noise = np.random.default_rng(0).normal(0, 0.08, poses.shape)
    np.savez(
        folder / "init.npz",
        poses=(poses.numpy() + noise).astype(np.float32),
        trans=trans.numpy() + np.float32([0.03, 0, 0]),
        betas=np.zeros(10, np.float32),
        K=K,
    )
    depth = np.stack([np.where(mask > 127, 300, 100).astype(np.uint16) for _, mask in drawn])
    np.savez(folder / "depth_relative.npz", disparity=depth)
    (folder / "meta.json").write_text(json.dumps({"height_m": 1.7}))
    for row in (0, 6):
        _save(folder / "novel" / f"cam0_frame{row:03d}.png", drawn[row])
    np.savez(
        folder / "novel" / "cameras.npz",
        K=K,
        T_world_cam=np.eye(4)[None],
        frame_indices=[0, 6],
        width=WIDTH,
        height=HEIGHT,
    )
    _save(folder / "novel_pose" / "pose0.png", drawn[3])
    one = {name: truth[name][3:4] for name in ("poses_cam", "joints_cam")}
    np.savez(folder / "novel_pose" / "gt.npz", K=K, width=WIDTH, height=HEIGHT, **one)
    return root


def _drawn(avatar: Avatar, pose: torch.Tensor, trans: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    picture = avatar.pose(pose, trans).render(Camera(K, WIDTH, HEIGHT)).numpy()
    alpha = picture[..., 3:]
    image = 255 * picture[..., :3] + (1 - alpha) * GREEN
    return image.round().clip(0, 255).astype(np.uint8), (255 * alpha[..., 0]).round().astype(np.uint8)


def _save(path: Path, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    write_image(path, drawn[0])
    write_image(path.with_name(f"{path.stem}_mask.png"), drawn[1])
