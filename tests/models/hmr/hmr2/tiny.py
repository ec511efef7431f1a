"""HMR 2.0 in small: the same code, a thousandth of the numbers, and a person who stands upright."""

import io
from typing import Any

import torch

from models.hmr.hmr2 import Hmr2, Size

TINY = Size(width=32, depth=2, heads=2, head_width=24, head_depth=2, head_heads=2, head_part=6)
UPRIGHT = (1.0, 0, 0, 0, -1, 0)  # half a turn about x, as the camera's y axis points down


def tiny_network() -> Hmr2:
    """Random weights; the mean body stands in the middle of its crop."""
    torch.manual_seed(0)
    network = Hmr2(TINY)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("pos_embed", "pos_embedding")):
                parameter.normal_(std=0.1)
        pose = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(24)
        pose[:6] = torch.tensor(UPRIGHT)
        network.smpl_head.init_body_pose.copy_(pose)
        network.smpl_head.init_betas.copy_(torch.linspace(-0.5, 0.5, 10))
        network.smpl_head.init_cam.copy_(torch.tensor([0.9, 0.0, 0.25]))
        for layer in (network.smpl_head.decpose, network.smpl_head.deccam):
            layer.weight.mul_(0.2)
            layer.bias.mul_(0.2)
    return network.eval()


def checkpoint(network: Hmr2, **more: Any) -> bytes:
    """The network's weights as the training's framework keeps them, with the body and the discriminator."""
    weights = network.state_dict()
    weights["smpl.betas"] = torch.zeros(1, 10)
    weights["discriminator.betas_fc1.weight"] = torch.ones(10, 10)
    weights["initialized"] = torch.tensor(True)
    content = io.BytesIO()
    torch.save({"epoch": 35, "global_step": 1_000_000, "state_dict": weights, **more}, content)
    return content.getvalue()
