"""A small world with a known truth: the embedded body, coloured, moving, drawn by the renderer itself."""

import numpy as np
import torch

from models.avatar import Avatar, Evidence
from models.avatar.gaussians import Gaussians
from models.avatar.surface import spread
from models.body import BodyModel
from models.cameras import Camera

WIDTH, HEIGHT = 96, 128
K = np.array([[150.0, 0, WIDTH / 2], [0, 150.0, HEIGHT / 2], [0, 0, 1]])
CAMERA = Camera(K, WIDTH, HEIGHT)
FACING = (np.pi, 0.0, 0.0)  # upright in a camera whose y points down, the face towards it


def true_motion(frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Poses (T,72) and trans (T,3) of somebody three metres away who swings both arms and one leg."""
    phase = torch.linspace(0, 2, frames)
    poses = torch.zeros(frames, 24, 3)
    poses[:, 0] = torch.tensor(FACING)
    poses[:, 16, 2], poses[:, 17, 2] = -0.9 + 0.4 * phase.sin(), 0.9 - 0.4 * phase.cos()
    poses[:, 1, 0] = 0.3 * (1.5 * phase).sin()
    trans = torch.stack((0.1 * phase, torch.full_like(phase, 0.2), 3 + 0.1 * phase), dim=1)
    return poses.flatten(1), trans


def true_avatar(body: BodyModel, count: int = 1500) -> Avatar:
    """The body in stripes, so that colour says where its parts are."""
    surface = spread(body, count, seed=3)
    gaussians = Gaussians(surface)
    height = surface.template[:, 1:2]
    colors = 0.5 + 0.4 * torch.sin(torch.cat((9 * height, 14 * height + 1, 7 * height + 2), dim=1))
    return Avatar(
        means=surface.template,
        quaternions=gaussians.quaternions.detach(),
        log_scales=gaussians.log_scales.detach(),
        opacity_logits=gaussians.opacity_logits.detach() + 2,
        colors=colors,
        weights=surface.weights,
        rest_joints=body.joint_template,
        parents=torch.tensor(body.parents),
        betas=torch.zeros(10),
        body=body.kind,
        coverage=torch.ones(count),
    )


def filmed(body: BodyModel, frames: int = 9, noise: float = 0.12, seed: int = 0) -> Evidence:
    """Pictures and masks of the true avatar, and an initial motion with noise (radians, metres)."""
    avatar, (poses, trans) = true_avatar(body), true_motion(frames)
    images, masks = [], []
    for pose, shift in zip(poses, trans, strict=True):
        drawn = avatar.pose(pose, shift).render(CAMERA).numpy()
        image = drawn[..., :3] + (1 - drawn[..., 3:]) * 0.3
        images.append((image * 255).clip(0, 255).astype(np.uint8))
        masks.append((drawn[..., 3] * 255).astype(np.uint8))
    random = np.random.default_rng(seed)
    return Evidence(
        images=images,
        masks=masks,
        K=K,
        fps=10.0,
        valid=np.ones(frames, bool),
        poses=(poses.numpy() + noise * random.normal(size=poses.shape)).astype(np.float32),
        trans=(trans.numpy() + 0.3 * noise * random.normal(size=trans.shape)).astype(np.float32),
        betas=np.zeros(10, np.float32),
        posed=np.ones(frames, bool),
    )
