"""A small finished clip, drawn from an avatar whose motion is known."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import PARENTS, BodyModel, Motion, load_embedded_body, retarget
from models.cameras import Camera
from models.drawing import project
from stages.export.clip import Clip, render_avatar
from stages.export.perframe import JOINTS, LANDMARKS
from stages.images import write_image

FRAMES, WIDTH, HEIGHT = 8, 96, 128
SOURCE_SCALE = 2  # the source video has twice the working picture's size
K = np.array([[140.0, 0, 48], [0, 140, 64], [0, 0, 1]])
UNSEEN = 6  # the frame without the person
COLORS = np.float32([[0.8, 0.2, 0.2], [0.2, 0.3, 0.8]])  # above and below the pelvis
GREEN = np.array([40, 120, 60], np.uint8)

Inputs = Mapping[str, Path]


@pytest.fixture(scope="session")
def body() -> BodyModel:
    return load_embedded_body()


@pytest.fixture(scope="session")
def avatar(body: BodyModel) -> Avatar:
    """Every sixth vertex of the mean body, red above the pelvis and blue below."""
    vertices, joints = body.v_template[::6], body.joint_template
    count = len(vertices)
    quaternions = torch.zeros(count, 4)
    quaternions[:, 0] = 1
    return Avatar(
        means=vertices.clone(),
        quaternions=quaternions,
        log_scales=torch.full((count, 3), np.log(0.02)),
        opacity_logits=torch.full((count,), 3.0),
        colors=torch.from_numpy(COLORS)[(vertices[:, 1] < joints[0, 1]).long()],
        weights=body.weights[::6].clone(),
        rest_joints=joints.clone(),
        parents=torch.tensor(PARENTS),
        betas=torch.zeros(10),
        body="embedded",
        coverage=torch.ones(count),
    )


@pytest.fixture(scope="session")
def motion(body: BodyModel) -> Motion:
    """Standing upright before the camera at 3.5 m, turning a little; not seen in one frame."""
    poses = np.zeros((FRAMES, 24, 3), np.float32)
    for frame in range(FRAMES):
        # Half a turn about x brings the body's up to the camera's; then about its own axis.
        angle = 0.1 * frame / 2
        poses[frame, 0] = np.pi * np.array([np.cos(angle), 0, -np.sin(angle)])
    trans = np.tile(np.float32([0, 0.1, 3.5]), (FRAMES, 1))
    valid = np.ones(FRAMES, bool)
    valid[UNSEEN] = False
    moved = Motion(
        poses=poses.reshape(FRAMES, 72),
        trans=trans,
        betas=np.zeros(10, np.float32),
        K=np.diag([SOURCE_SCALE, SOURCE_SCALE, 1]) @ K,
        frame=np.arange(FRAMES),
        fps=10.0,
        width=SOURCE_SCALE * WIDTH,
        height=SOURCE_SCALE * HEIGHT,
        body="embedded",
        valid=valid,
    )
    return retarget(moved, body)


@pytest.fixture(scope="session")
def inputs(
    tmp_path_factory: pytest.TempPathFactory, body: BodyModel, avatar: Avatar, motion: Motion
) -> Inputs:
    """The published folders of all earlier stages; the initial motion stands 15 cm aside and jitters."""
    root = tmp_path_factory.mktemp("workspace")
    folders = {name: root / name for name in ("frames", "detect", "poses", "masks", "depth", "optimize")}
    for folder in folders.values():
        folder.mkdir()
    _write_frames(folders["frames"])
    aside = np.random.default_rng(0).normal([0.15, 0, 0], 0.01, motion.trans.shape).astype(np.float32)
    initial = retarget(replace(motion, trans=motion.trans + aside, joints=None), body)
    initial.save(folders["poses"] / "motion.npz")
    motion.save(folders["optimize"] / "motion.npz")
    avatar.save(folders["optimize"] / "avatar.npz")
    _write_pictures(folders, avatar, motion)
    _write_landmarks(folders["detect"] / "landmarks.npz", motion)
    history = {
        "losses": [
            {"phase": phase, "step": step, "total": 1 / step, "l1": 0.5 / step}
            for phase in ("alignment", "joint")
            for step in (10, 20, 30)
        ],
        "warnings": ["the depth was odd"],
        "held_out": {
            "initial poses": {"psnr": 12.0, "ssim": 0.5, "iou": 0.6},
            "interpolated poses": {"psnr": 18.0, "ssim": 0.7, "iou": 0.8},
            "fitted poses": {"psnr": 20.5, "ssim": 0.8, "iou": 0.9},
            "pictures": "tight crop",
        },
    }
    (folders["optimize"] / "history.json").write_text(json.dumps(history))
    for name, folder in folders.items():
        manifest = {
            "engine": "none" if name == "depth" else f"engine of {name}",
            "settings": {
                "threshold": 0.5,
                "file": "/home/somebody/secret/poses.npz",
                "rates": {"pose": 0.01},
            },
            "seconds": 61.5,
            "peak_memory": 300 * 2**20,
            "summary": {
                "video": "my clip.mp4",
                "people": [{"person": 1, "score": 0.5}],
                "warnings": [f"{name} is unsure"],
                "files": {"x": "y"},
            },
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return folders


@pytest.fixture(scope="session")
def clip(inputs: Inputs, body: BodyModel) -> Clip:
    return Clip.load(inputs, body)


@pytest.fixture(scope="session")
def history(inputs: Inputs) -> dict:
    return dict(json.loads((inputs["optimize"] / "history.json").read_text()))


@pytest.fixture(scope="session")
def manifests(inputs: Inputs) -> dict:
    return {name: json.loads((folder / "manifest.json").read_text()) for name, folder in inputs.items()}


def _write_frames(folder: Path) -> None:
    (folder / "images").mkdir()
    np.savez(
        folder / "frames.npz",
        times=np.arange(FRAMES) / 10,
        source_index=np.arange(FRAMES),
        fps=10.0,
        K=K,
        K_source=np.diag([SOURCE_SCALE, SOURCE_SCALE, 1]) @ K,
        width=WIDTH,
        height=HEIGHT,
        source_width=SOURCE_SCALE * WIDTH,
        source_height=SOURCE_SCALE * HEIGHT,
        source_frames=FRAMES,
        focal_source="guess",
    )


def _write_pictures(folders: Inputs, avatar: Avatar, motion: Motion) -> None:
    """Frames that show the avatar before green, and its masks."""
    camera = Camera(K, WIDTH, HEIGHT)
    for index in range(FRAMES):
        color, alpha = render_avatar(avatar, motion.poses[index], motion.trans[index], camera)
        if index == UNSEEN:
            color, alpha = np.zeros_like(color), np.zeros_like(alpha)
        image = (255 * color + (1 - alpha[..., None]) * GREEN).round().astype(np.uint8)
        write_image(folders["frames"] / "images" / f"{index:06d}.png", image)
        write_image(folders["masks"] / f"{index:06d}.png", (255 * alpha).round().astype(np.uint8))
    np.savez(folders["masks"] / "masks.npz", valid=motion.valid)


def _write_landmarks(path: Path, motion: Motion) -> None:
    """The refined joints, 3 pixels to the right; landmarks without a joint lie far off and are hidden."""
    image = np.full((2, FRAMES, 33, 3), [1000.0, 1000, 0])
    assert motion.joints is not None
    image[:, :, LANDMARKS, :2] = project(motion.joints[:, JOINTS], K) + np.array([3, 0])
    image[:, :, LANDMARKS, 2] = 1
    np.savez(path, image=image, world=np.zeros((2, FRAMES, 33, 3)), valid=np.ones((2, FRAMES), bool))
