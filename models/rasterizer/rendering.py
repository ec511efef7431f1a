"""`render`: checks, the choice of the engine, and batches of frames."""

from typing import NamedTuple

import torch
from torch import Tensor

ENGINES = ("auto", "numba", "gsplat", "torch")


class Rendering(NamedTuple):
    """Pictures of one frame, or of a batch with B in front of every shape.

    Attributes:
        color: (H, W, 3), premultiplied by alpha: over a background it is color + (1 - alpha) background.
        alpha: (H, W), the share of light that the Gaussians stop.
        depth: (H, W), metres along the optical axis: sum(w z) / sum(w) over the Gaussians seen in the pixel;
            0 where there is none.
    """

    color: Tensor
    alpha: Tensor
    depth: Tensor


def render(
    means: Tensor,
    covariances: Tensor,
    colors: Tensor,
    opacities: Tensor,
    K: Tensor,
    width: int,
    height: int,
    engine: str = "auto",
) -> Rendering:
    """Draw Gaussians given in the camera's space. Differentiable in all of the first four arguments.

    A Gaussian that is not finite, not in front of the near plane, or whose covariance on the image is not
    positive definite is skipped: no colour, zero gradient. Only the symmetric part of a covariance counts.

    To draw a part of the picture, shift the principal point by its corner (K[0, 2] - left, K[1, 2] - top) and
    give the part's size. The field of view that bounds the Jacobian is then the part's: Gaussians beyond its
    edge that reach far into it look a little different.

    Args:
        means: (N, 3), or (B, N, 3) for a batch of frames; metres.
        covariances: (N, 3, 3), or (B, N, 3, 3); metres^2.
        colors: (N, 3), shared by a batch, or (B, N, 3).
        opacities: (N,) in [0, 1], shared by a batch, or (B, N).
        K: (3, 3), or (B, 3, 3): intrinsics in pixels, without skew.
        width, height: of the picture, pixels.
        engine: "auto" is "gsplat" for CUDA tensors and "numba" for others.

    Raises:
        ValueError: where shapes, sizes, devices or the engine's name do not fit.
    """
    engine = _chosen(engine, means.device)
    _check_shapes(means, covariances, colors, opacities, K, width, height)
    if means.dim() == 3:
        colors = colors.expand(*means.shape[:2], 3)
        opacities = opacities.expand(means.shape[:2])
        K = K.expand(len(means), 3, 3)
    if engine == "gsplat":
        from models.rasterizer import cuda

        return Rendering(*cuda.render(means, covariances, colors, opacities, K, width, height))
    if engine == "numba":
        from models.rasterizer.embedded import render as draw
    else:
        from models.rasterizer.dense import render as draw
    if means.dim() == 2:
        return Rendering(*draw(means, covariances, colors, opacities, K, width, height))
    frames = [
        draw(*frame, width, height) for frame in zip(means, covariances, colors, opacities, K, strict=True)
    ]
    if len(frames) == 1:  # no copy
        return Rendering(*(picture[None] for picture in frames[0]))
    return Rendering(*(torch.stack(pictures) for pictures in zip(*frames, strict=True)))


def _chosen(engine: str, device: torch.device) -> str:
    if engine not in ENGINES:
        raise ValueError(f"unknown renderer {engine!r}: choose one of {', '.join(ENGINES)}")
    if engine == "auto":
        engine = "gsplat" if device.type == "cuda" else "numba"
    needed = {"gsplat": "cuda", "numba": "cpu"}.get(engine, device.type)
    if device.type != needed:
        raise ValueError(f'renderer "{engine}" needs tensors on {needed}, not on {device.type}')
    return engine


def _check_shapes(
    means: Tensor, covariances: Tensor, colors: Tensor, opacities: Tensor, K: Tensor, width: int, height: int
) -> None:
    if width < 1 or height < 1:
        raise ValueError(f"a picture of {width} x {height} pixels cannot be drawn")
    frame = tuple(means.shape[:-1])
    if len(frame) not in (1, 2) or means.shape[-1] != 3:
        raise ValueError(f"means must be (N, 3) or (B, N, 3), not {tuple(means.shape)}")
    alternatives = {
        "covariances": (covariances, {(*frame, 3, 3)}),
        "colors": (colors, {(*frame, 3), (frame[-1], 3)}),
        "opacities": (opacities, {frame, frame[-1:]}),
        "K": (K, {(3, 3), (*frame[:-1], 3, 3)}),
    }
    for name, (tensor, shapes) in alternatives.items():
        if tuple(tensor.shape) not in shapes:
            expected = " or ".join(str(shape) for shape in sorted(shapes))
            raise ValueError(
                f"{name} must be {expected} with means {tuple(means.shape)}, not {tuple(tensor.shape)}"
            )
