"""The learned Gaussians: what is free about them, and where they sit on the body."""

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn

from models.avatar.surface import SurfacePoints
from models.body.rotations import quaternion_to_matrix

FLAT = (0.75, 0.75, 0.25)  # first standard deviations, in spacings: two along the surface, one across
OPACITY_LOGIT = 2.0
GREY = 0.5


class Gaussians(nn.Module):
    """N Gaussians tied to N points of the body's surface, free in offset, axes, sizes, colour and opacity.

    They are where the points are; `to` would leave those behind.
    """

    def __init__(self, surface: SurfacePoints) -> None:
        super().__init__()
        self.surface = surface
        self.offsets = nn.Parameter(torch.zeros_like(surface.template))
        self.quaternions = nn.Parameter(upright(surface.normals))
        self.log_scales = nn.Parameter((surface.spacing[:, None] * surface.spacing.new_tensor(FLAT)).log())
        self.colors = nn.Parameter(torch.full_like(surface.template, GREY))
        self.opacity_logits = nn.Parameter(torch.full_like(surface.spacing, OPACITY_LOGIT))

    def __len__(self) -> int:
        return len(self.offsets)

    def means(self, betas: Tensor) -> Tensor:
        """Centres (N,3) in the rest pose of the body of shape betas (10,)."""
        return self.surface.shaped(betas) + self.offsets

    def rotations(self) -> Tensor:
        """Axes (N,3,3) in the rest pose."""
        return quaternion_to_matrix(self.quaternions)

    @torch.no_grad()
    def keep_displayable(self) -> None:
        """Projects colours back into [0, 1]."""
        self.colors.clamp_(0, 1)


def upright(normals: Tensor) -> Tensor:
    """Quaternions (N,4), wxyz, that turn the z axis to the normals (N,3) by the shortest way."""
    x, y, z = normals.unbind(-1)
    zero = torch.zeros_like(x)
    quaternions = torch.stack((1 + z, -y, x, zero), dim=-1)
    opposite = (z < -0.999999)[:, None]
    half_turn = torch.tensor([0.0, 1.0, 0.0, 0.0]).to(normals)
    return nn.functional.normalize(torch.where(opposite, half_turn, quaternions), dim=-1)


@torch.no_grad()
def refined(coarse: Gaussians, surface: SurfacePoints) -> Gaussians:
    """Gaussians on a denser set of points that look like the coarse ones.

    Offset, colour and opacity are inverse-distance means of the three nearest on the same side of the body;
    the sizes start afresh from the new spacing.
    """
    places = [
        torch.cat((points.template, 0.05 * points.normals), dim=1).cpu().numpy()
        for points in (coarse.surface, surface)
    ]
    distance, nearest = cKDTree(places[0]).query(places[1], 3)
    blend = 1 / np.maximum(distance, 1e-4)
    weights = torch.from_numpy((blend / blend.sum(1, keepdims=True)).astype(np.float32)).to(coarse.offsets)
    index = torch.from_numpy(nearest).to(coarse.offsets.device)
    fine = Gaussians(surface)
    for name in ("offsets", "colors", "opacity_logits"):
        values = getattr(coarse, name)[index]
        getattr(fine, name).copy_((values * weights.reshape(*weights.shape, *[1] * (values.ndim - 2))).sum(1))
    return fine
