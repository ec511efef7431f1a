"""The backbone of HMR 2.0: a vision transformer without class token, ViT-H/16 in the released weights.

Names of modules are the released checkpoint's.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

PATCH, PADDING = 16, 2
ROWS, COLUMNS = 16, 12
"""Patches of a crop of 256 x 192 pixels."""
EPSILON = 1e-6


class PatchEmbed(nn.Module):
    """Overlapping patches of the picture as tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH, PADDING)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, 256, 192) -> (B, 192, width), row by row."""
        return self.proj(images).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)."""
        queries, keys, values = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(queries, keys, values)
        return self.proj(attended.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two layers with a GELU, the exact one, between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)."""
        return self.fc2(nn.functional.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """Attention and MLP, each on normalised tokens and added to them."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPSILON)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, EPSILON)
        self.mlp = Mlp(width, hidden)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class VisionTransformer(nn.Module):
    """Crops to context tokens.

    Args:
        width: of a token.
        depth: number of blocks.
        heads: of the attention.
    """

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(width)
        # The first place is that of the class token, which the network was first trained with.
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + ROWS * COLUMNS, width))
        self.blocks = nn.ModuleList(Block(width, heads, 4 * width) for _ in range(depth))
        self.last_norm = nn.LayerNorm(width, EPSILON)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised crops (B, 3, 256, 192) -> tokens (B, 192, width), the patches row by row."""
        tokens = self.patch_embed(images) + self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        for block in self.blocks:
            tokens = block(tokens)
        return self.last_norm(tokens)
