"""The head of HMR 2.0: a transformer decoder in which one token asks the backbone's tokens for the body.

Names of modules are the released checkpoint's, which come from nested containers: `layers.0.1.fn.to_kv`.
"""

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from models.body import JOINT_COUNT, SHAPE_COUNT


class BodyParameters(NamedTuple):
    """What the network says of B crops.

    Attributes:
        pose: (B, 144), six numbers for each of the 24 joints, as `models.body.rotations.sixd_to_matrix` reads
            them; joint 0 orients the body as the crop's own camera sees it.
        betas: (B, 10), SMPL's shape coefficients.
        camera: (B, 3), scale and translation of a weak perspective camera (models/hmr/hmr2/camera.py).
    """

    pose: Tensor
    betas: Tensor
    camera: Tensor


class PreNorm(nn.Module):
    """A layer whose input is normalised first."""

    def __init__(self, width: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = fn

    def forward(self, token: Tensor, *context: Tensor) -> Tensor:
        """The layer of the normalised token; the context is not normalised."""
        return self.fn(self.norm(token), *context)


class SelfAttention(nn.Module):
    """Attention of the tokens to each other: with a single one, a linear map of it."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * heads * head_width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * head_width, width))

    def forward(self, token: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)."""
        queries, keys, values = self.to_qkv(token).chunk(3, -1)
        return self.to_out(_attended(queries, keys, values, self.heads))


class CrossAttention(nn.Module):
    """Attention of the token to the backbone's tokens."""

    def __init__(self, width: int, context_width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_kv = nn.Linear(context_width, 2 * heads * head_width, bias=False)
        self.to_q = nn.Linear(width, heads * head_width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * head_width, width))

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        """(B, N, width) and (B, M, context_width) -> (B, N, width)."""
        keys, values = self.to_kv(context).chunk(2, -1)
        return self.to_out(_attended(self.to_q(token), keys, values, self.heads))


class FeedForward(nn.Module):
    """Two layers with a GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # In training there was dropout after the GELU, so the second layer is number 3.
        self.net = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Identity(), nn.Linear(width, width))

    def forward(self, token: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)."""
        return self.net(token)


class Layers(nn.Module):
    """Layers of self-attention, cross-attention and feed-forward, each added to the token."""

    def __init__(self, width: int, context_width: int, depth: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([
                PreNorm(width, SelfAttention(width, heads, head_width)),
                PreNorm(width, CrossAttention(width, context_width, heads, head_width)),
                PreNorm(width, FeedForward(width)),
            ])
            for _ in range(depth)
        )  # fmt: skip

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        """(B, 1, width) and (B, M, context_width) -> (B, 1, width)."""
        for layer in self.layers:
            self_attention, cross_attention, feed_forward = cast(nn.ModuleList, layer)
            token = token + self_attention(token)
            token = token + cross_attention(token, context)
            token = token + feed_forward(token)
        return token


class Decoder(nn.Module):
    """The token, which begins as a learned constant, and its layers."""

    def __init__(self, width: int, context_width: int, depth: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.to_token_embedding = nn.Linear(1, width)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1, width))
        self.transformer = Layers(width, context_width, depth, heads, head_width)

    def forward(self, context: Tensor) -> Tensor:
        """(B, M, context_width) -> (B, width)."""
        zero = context.new_zeros(len(context), 1, 1)
        token = self.to_token_embedding(zero) + self.pos_embedding
        return self.transformer(token, context).squeeze(1)


class SmplHead(nn.Module):
    """Context tokens to the body's parameters, as differences from a mean body that the weights hold."""

    def __init__(self, width: int, context_width: int, depth: int, heads: int, head_width: int) -> None:
        super().__init__()
        pose = 6 * JOINT_COUNT
        self.transformer = Decoder(width, context_width, depth, heads, head_width)
        self.decpose = nn.Linear(width, pose)
        self.decshape = nn.Linear(width, SHAPE_COUNT)
        self.deccam = nn.Linear(width, 3)
        for name, size in (("init_body_pose", pose), ("init_betas", SHAPE_COUNT), ("init_cam", 3)):
            self.register_buffer(name, torch.zeros(1, size))
        self.init_body_pose: Tensor
        self.init_betas: Tensor
        self.init_cam: Tensor

    def forward(self, context: Tensor) -> BodyParameters:
        """Tokens (B, M, context_width) to the parameters of B bodies."""
        token = self.transformer(context)
        return BodyParameters(
            self.decpose(token) + self.init_body_pose,
            self.decshape(token) + self.init_betas,
            self.deccam(token) + self.init_cam,
        )


def _attended(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """Attention of (B, N, heads * d) to (B, M, heads * d), head by head."""
    parts = (tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (queries, keys, values))
    return scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
