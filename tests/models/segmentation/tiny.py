"""Segment Anything in miniature: its own classes, random weights."""

from functools import partial
from pathlib import Path

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

SIDE, PATCH, CHANNELS = 128, 8, 32


def tiny_network() -> Sam:
    """Takes 128x128 pixels, draws masks of 64x64 cells."""
    grid = SIDE // PATCH
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=SIDE, patch_size=PATCH, embed_dim=16, depth=2, num_heads=2, out_chans=CHANNELS,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True, window_size=7,
            global_attn_indexes=(1,),
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=CHANNELS, image_embedding_size=(grid, grid), input_image_size=(SIDE, SIDE),
            mask_in_chans=8,
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=CHANNELS, iou_head_hidden_dim=16,
            transformer=TwoWayTransformer(depth=1, embedding_dim=CHANNELS, num_heads=2, mlp_dim=32),
        ),
    )  # fmt: skip


def save_tiny(path: Path, seed: int = 0) -> Path:
    """A checkpoint of it, as the authors write theirs."""
    torch.manual_seed(seed)
    torch.save(tiny_network().state_dict(), path)
    return path
