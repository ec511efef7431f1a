import torch

from models.avatar import Avatar
from models.avatar.evaluation import unoccluded
from models.rasterizer import render
from tests.models.avatar.scenes import HEIGHT, WIDTH, K, true_motion


def test_unoccluded_weight_is_what_a_lone_gaussian_gets(avatar: Avatar) -> None:
    pose, trans = (a[0] for a in true_motion(3))
    posed, camera = avatar.pose(pose, trans), torch.from_numpy(K).float()
    chest = (avatar.weights[:, 9] > 0.9).nonzero()[:3, 0].tolist()
    for i in chest:
        alone = (a[i : i + 1] for a in (posed.means, posed.covariances, posed.colors, posed.opacities))
        drawn = render(*alone, camera, WIDTH, HEIGHT)
        torch.testing.assert_close(drawn.alpha.sum(), unoccluded(posed, camera)[i], rtol=0.1, atol=0.02)
