"""Depth Anything in miniature: transformers' own classes, random weights, saved as they save them."""

from pathlib import Path

import torch
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTImageProcessor,
)

SIDE, PATCH = 56, 14


def tiny_network(kind: str = "relative", max_depth: int = 1) -> DepthAnythingForDepthEstimation:
    """A network whose last bias keeps its maps positive."""
    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, image_size=SIDE, patch_size=PATCH,
        out_indices=[1, 2, 3, 4], reshape_hidden_states=False,
    )  # fmt: skip
    network = DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config=backbone, reassemble_hidden_size=16, neck_hidden_sizes=[8, 8, 8, 8],
            fusion_hidden_size=8, head_hidden_size=8, depth_estimation_type=kind, max_depth=max_depth,
            initializer_range=0.2,
        )
    )  # fmt: skip
    torch.nn.init.constant_(network.head.conv3.bias, 2.0)
    return network.eval()


def save_tiny(folder: Path, kind: str = "relative", max_depth: int = 1, side: int = SIDE) -> Path:
    """The folder with the network and its preprocessing."""
    tiny_network(kind, max_depth).save_pretrained(folder)
    processor = DPTImageProcessor(
        size={"height": side, "width": side}, keep_aspect_ratio=True, ensure_multiple_of=PATCH, resample=3
    )
    processor.save_pretrained(folder)
    return folder
