"""Points spread over the surface of a body, each fixed to a triangle, so that they follow its shape."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from models.body import BodyModel

HAND_JOINTS, HEAD_JOINT = (20, 21, 22, 23), 15
DETAIL = 2.0  # density on head and hands, times that elsewhere


@dataclass(frozen=True)
class SurfacePoints:
    """N points on the surface, in the rest pose.

    Attributes:
        template: (N,3) of the mean body, metres.
        directions: (N,3,10) metres per shape coefficient.
        normals: (N,3) of the mean body.
        weights: (N,24) skinning weights.
        spacing: (N,) metres, the root of the area that each point stands for.
    """

    template: Tensor
    directions: Tensor
    normals: Tensor
    weights: Tensor
    spacing: Tensor

    def __len__(self) -> int:
        return len(self.template)

    def to(self, device: torch.device) -> "SurfacePoints":
        """The same points with their tensors on `device`."""
        return SurfacePoints(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def shaped(self, betas: Tensor) -> Tensor:
        """(N,3) on the body of shape betas (10,)."""
        return self.template + self.directions @ betas


def spread(body: BodyModel, count: int, seed: int) -> SurfacePoints:
    """Spreads points evenly by area, denser on head and hands, where small things matter.

    Systematic sampling: the triangles are lined up along a space-filling curve and cut into `count` pieces of
    equal (weighted) area, so that the points are far more even than independent ones.
    """
    vertices, faces = body.v_template.double().cpu().numpy(), body.faces.cpu().numpy()
    corners = vertices[faces]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(crossed, axis=1) / 2
    weights = body.weights.double().cpu().numpy()
    detail = weights[:, [*HAND_JOINTS, HEAD_JOINT]].sum(1)[faces].mean(1)
    density = 1 + (DETAIL - 1) * detail
    order = _along_curve(corners.mean(1))
    cumulative = np.cumsum((area * density)[order])
    random = np.random.default_rng(seed)
    positions = (np.arange(count) + random.uniform(size=count)) / count * cumulative[-1]
    chosen = order[np.minimum(np.searchsorted(cumulative, positions), len(order) - 1)]
    barycentric = _barycentric(random.uniform(size=(count, 2)))

    def interpolate(per_vertex: Tensor) -> Tensor:
        at_corners = per_vertex.cpu().numpy()[faces[chosen]]
        return torch.from_numpy(np.einsum("nc,nc...->n...", barycentric, at_corners).astype(np.float32))

    skinning = interpolate(body.weights)
    return SurfacePoints(
        template=interpolate(body.v_template),
        directions=interpolate(body.shapedirs),
        normals=torch.from_numpy((crossed / (2 * area + 1e-20)[:, None])[chosen].astype(np.float32)),
        weights=skinning / skinning.sum(1, keepdim=True),
        spacing=torch.from_numpy(np.sqrt(cumulative[-1] / count / density[chosen]).astype(np.float32)),
    )


def neighbours(points: SurfacePoints, count: int) -> NDArray[np.int64]:
    """Indices (N,count) of each point's nearest others on the same side of the body.

    The normal takes part in the distance, so that the insides of the thighs or two fingers do not mix.
    """
    places = torch.cat((points.template, 0.05 * points.normals), dim=1).cpu().numpy()
    return cKDTree(places).query(places, count + 1)[1][:, 1:]


def _barycentric(random: NDArray[np.float64]) -> NDArray[np.float64]:
    """Uniform in a triangle, (N,3), from two uniform numbers (Turk, Graphics Gems 1990)."""
    root, b = np.sqrt(random[:, 0]), random[:, 1]
    return np.stack((1 - root, root * (1 - b), root * b), axis=1)


def _along_curve(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order of points (N,3) along a Morton curve of 1024 cells a side."""
    low, high = points.min(0), points.max(0)
    cells = ((points - low) / (high - low).max() * 1023).astype(np.int64)
    code = np.zeros(len(points), np.int64)
    for bit in range(10):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(code, kind="stable")
