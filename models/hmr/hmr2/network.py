"""HMR 2.0 (Goel et al. 2023, "Humans in 4D: Reconstructing and Tracking Humans with Transformers").

The network is written here; the weights are its authors' (4D-Humans, MIT), loaded by checkpoint.py.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.hmr.hmr2.head import BodyParameters, SmplHead
from models.hmr.hmr2.vit import VisionTransformer


@dataclass(frozen=True)
class Size:
    """Dimensions of the network.

    Attributes:
        width, depth, heads: of the backbone.
        head_width, head_depth, head_heads, head_part: of the head's transformer: width of its token, layers,
            heads of attention, and width of one such head.
    """

    width: int
    depth: int
    heads: int
    head_width: int
    head_depth: int
    head_heads: int
    head_part: int


RELEASED = Size(width=1280, depth=32, heads=16, head_width=1024, head_depth=6, head_heads=8, head_part=64)
"""Of the released weights, about 670 million parameters."""


class Hmr2(nn.Module):
    """Crops of people to SMPL's parameters.

    The backbone may run in half precision (`half`); the head, a seventeenth of the work, stays in single.
    """

    def __init__(self, size: Size = RELEASED) -> None:
        super().__init__()
        self.backbone = VisionTransformer(size.width, size.depth, size.heads)
        self.smpl_head = SmplHead(
            size.head_width, size.width, size.head_depth, size.head_heads, size.head_part
        )

    def half_backbone(self, dtype: torch.dtype) -> "Hmr2":
        """This network with its backbone in half precision, float16 or bfloat16."""
        self.backbone.to(dtype)
        return self

    def forward(self, images: Tensor) -> BodyParameters:
        """Normalised crops (B, 3, 256, 192), as `models.hmr.hmr2.crop` makes them, to the bodies in them."""
        dtype = self.backbone.pos_embed.dtype
        return self.smpl_head(self.backbone(images.to(dtype)).float())
