import numpy as np
import pytest

from models.avatar import Avatar
from models.avatar.scoring import View, mean_score, score
from models.cameras import Camera
from models.metrics import Agreement
from tests.models.avatar.scenes import HEIGHT, WIDTH, K, true_motion


def picture(avatar: Avatar, T_cam_world: np.ndarray | None = None, shift: float = 0.0) -> View:
    """The avatar's own picture, and how it stood for that; `shift` metres aside."""
    pose, trans = (a[0] for a in true_motion(3))
    drawn = avatar.pose(pose, trans).render(Camera(K, WIDTH, HEIGHT, T_cam_world)).numpy()
    solid = drawn[..., :3] / np.maximum(drawn[..., 3:], 1e-3)
    return View(
        image=(255 * solid.clip(0, 1)).round().astype(np.uint8),
        mask=(255 * drawn[..., 3]).round().astype(np.uint8),
        K=K,
        pose=pose.numpy(),
        pelvis=(trans + avatar.rest_joints[0]).numpy() + np.array([shift, 0, 0]),
        T_cam_world=T_cam_world,
    )


def test_the_right_pose_agrees_and_one_aside_does_not(avatar: Avatar) -> None:
    right, aside = (score(avatar, picture(avatar, shift=shift)) for shift in (0, 0.05))
    assert right.psnr_crop > 40 and right.iou > 0.99
    assert aside.psnr_crop < 25 and aside.iou < 0.95
    assert right.psnr > right.psnr_crop


def test_another_camera_is_taken_into_account(avatar: Avatar) -> None:
    T = np.eye(4)
    T[:3, 3] = [0.1, 0, 0.5]
    assert score(avatar, picture(avatar, T)).psnr_crop > 40


def test_means_are_of_every_figure() -> None:
    a, b = Agreement(10, 0.2, 5, 0.1, 0.5, 0.4), Agreement(20, 0.4, 7, 0.3, 0.7, 0.2)
    assert mean_score([a, b]) == pytest.approx(
        {
            "psnr": 15,
            "ssim": 0.3,
            "psnr_crop": 6,
            "ssim_crop": 0.2,
            "iou": 0.6,
            "lpips": 0.3,
            "lpips_crop": None,
        }
    )
    with pytest.raises(ValueError, match="nothing"):
        mean_score([])
