"""The network: the released weights' table of keys, and every block against a plain reference."""

import math

import pytest
import torch
from torch import Tensor

from models.hmr.hmr2 import RELEASED, Hmr2, vit
from models.hmr.hmr2 import head as heads
from tests.models.hmr.hmr2.tiny import TINY, tiny_network


def released_keys() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the released checkpoint, as far as the network uses them."""
    backbone: dict[str, tuple[int, ...]] = {
        "patch_embed.proj.weight": (1280, 3, 16, 16), "patch_embed.proj.bias": (1280,),
        "pos_embed": (1, 193, 1280), "last_norm.weight": (1280,), "last_norm.bias": (1280,),
    }  # fmt: skip
    for i in range(32):
        for name, (rows, columns) in {
            "attn.qkv": (3840, 1280), "attn.proj": (1280, 1280),
            "mlp.fc1": (5120, 1280), "mlp.fc2": (1280, 5120),
        }.items():  # fmt: skip
            backbone |= {f"blocks.{i}.{name}.weight": (rows, columns), f"blocks.{i}.{name}.bias": (rows,)}
        for norm in ("norm1", "norm2"):
            backbone |= {f"blocks.{i}.{norm}.weight": (1280,), f"blocks.{i}.{norm}.bias": (1280,)}
    head: dict[str, tuple[int, ...]] = {
        "transformer.to_token_embedding.weight": (1024, 1), "transformer.to_token_embedding.bias": (1024,),
        "transformer.pos_embedding": (1, 1, 1024), "decpose.weight": (144, 1024), "decpose.bias": (144,),
        "decshape.weight": (10, 1024), "decshape.bias": (10,),
        "deccam.weight": (3, 1024), "deccam.bias": (3,),
        "init_body_pose": (1, 144), "init_betas": (1, 10), "init_cam": (1, 3),
    }  # fmt: skip
    for i in range(6):
        layer = f"transformer.transformer.layers.{i}"
        for j in range(3):
            head |= {f"{layer}.{j}.norm.weight": (1024,), f"{layer}.{j}.norm.bias": (1024,)}
        for name, shape in {
            "0.fn.to_qkv": (1536, 1024), "0.fn.to_out.0": (1024, 512), "1.fn.to_kv": (1024, 1280),
            "1.fn.to_q": (512, 1024), "1.fn.to_out.0": (1024, 512), "2.fn.net.0": (1024, 1024),
            "2.fn.net.3": (1024, 1024),
        }.items():  # fmt: skip
            head[f"{layer}.{name}.weight"] = shape
            if "to_out" in name or "net" in name:
                head[f"{layer}.{name}.bias"] = shape[:1]
    parts = {"backbone": backbone, "smpl_head": head}
    return {f"{part}.{key}": shape for part, keys in parts.items() for key, shape in keys.items()}


def test_keys_and_shapes_are_the_released_ones() -> None:
    with torch.device("meta"):
        network = Hmr2(RELEASED)
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == released_keys()
    assert sum(parameter.numel() for parameter in network.backbone.parameters()) == pytest.approx(
        631e6, rel=1e-3
    )
    assert sum(parameter.numel() for parameter in network.smpl_head.parameters()) == pytest.approx(
        39.5e6, rel=2e-3
    )


def norm(x: Tensor, layer: torch.nn.LayerNorm, epsilon: float) -> Tensor:
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / (variance + epsilon).sqrt() * layer.weight + layer.bias


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def attention(queries: Tensor, keys: Tensor, values: Tensor, count: int) -> Tensor:
    """Head by head, one query at a time."""
    out = torch.zeros_like(queries)
    width = queries.shape[-1] // count
    for b in range(len(queries)):
        for h in range(count):
            part = slice(h * width, (h + 1) * width)
            for n in range(queries.shape[1]):
                scores = keys[b, :, part] @ queries[b, n, part] / math.sqrt(width)
                out[b, n, part] = torch.softmax(scores, 0) @ values[b, :, part]
    return out


def tokens(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_patches_are_rows_of_the_padded_picture() -> None:
    layer, images = vit.PatchEmbed(8), tokens(2, 3, 256, 192)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    kernel = layer.proj.weight.flatten(1)
    patches = [padded[..., 16 * r : 16 * r + 16, 16 * c : 16 * c + 16] for r in range(16) for c in range(12)]
    expected = torch.stack([patch.flatten(1) @ kernel.T + layer.proj.bias for patch in patches], 1)
    torch.testing.assert_close(layer(images), expected, rtol=0, atol=1e-5)


def test_self_attention_of_the_backbone() -> None:
    layer, x = vit.Attention(12, 3), tokens(2, 5, 12)
    q, k, v = (x @ layer.qkv.weight.T + layer.qkv.bias).split(12, -1)
    expected = attention(q, k, v, 3) @ layer.proj.weight.T + layer.proj.bias
    torch.testing.assert_close(layer(x), expected)


def test_block_of_the_backbone() -> None:
    block, x = vit.Block(12, 3, 48), tokens(2, 5, 12)
    y = x + block.attn(norm(x, block.norm1, 1e-6))
    hidden = gelu(norm(y, block.norm2, 1e-6) @ block.mlp.fc1.weight.T + block.mlp.fc1.bias)
    torch.testing.assert_close(block(x), y + hidden @ block.mlp.fc2.weight.T + block.mlp.fc2.bias)


def test_backbone_adds_the_places_and_that_of_the_class_token() -> None:
    backbone, images = tiny_network().backbone, tokens(1, 3, 256, 192)
    x = backbone.patch_embed(images)
    x = x + torch.stack([backbone.pos_embed[0, 1 + i] + backbone.pos_embed[0, 0] for i in range(192)])
    for block in backbone.blocks:
        x = block(x)
    torch.testing.assert_close(backbone(images), norm(x, backbone.last_norm, 1e-6), rtol=0, atol=1e-5)


def test_self_attention_of_the_head() -> None:
    layer, x = heads.SelfAttention(10, 2, 4), tokens(2, 3, 10)
    q, k, v = (x @ layer.to_qkv.weight.T).split(8, -1)
    expected = attention(q, k, v, 2) @ layer.to_out[0].weight.T + layer.to_out[0].bias
    torch.testing.assert_close(layer(x), expected)


def test_cross_attention_of_the_head() -> None:
    layer, x, context = heads.CrossAttention(10, 6, 2, 4), tokens(2, 1, 10), tokens(2, 7, 6)
    k, v = (context @ layer.to_kv.weight.T).split(8, -1)
    expected = attention(x @ layer.to_q.weight.T, k, v, 2) @ layer.to_out[0].weight.T + layer.to_out[0].bias
    torch.testing.assert_close(layer(x, context), expected)


def test_feed_forward_of_the_head() -> None:
    layer, x = heads.FeedForward(10), tokens(2, 1, 10)
    hidden = gelu(x @ layer.net[0].weight.T + layer.net[0].bias)
    torch.testing.assert_close(layer(x), hidden @ layer.net[3].weight.T + layer.net[3].bias)


def test_head() -> None:
    head, context = tiny_network().smpl_head, tokens(3, 192, TINY.width)
    decoder = head.transformer
    x = (decoder.to_token_embedding.bias + decoder.pos_embedding).expand(3, 1, -1)
    for self_attention, cross_attention, feed_forward in decoder.transformer.layers:
        x = x + self_attention.fn(norm(x, self_attention.norm, 1e-5))
        x = x + cross_attention.fn(norm(x, cross_attention.norm, 1e-5), context)
        x = x + feed_forward.fn(norm(x, feed_forward.norm, 1e-5))
    said = head(context)
    for value, layer, mean in (
        (said.pose, head.decpose, head.init_body_pose),
        (said.betas, head.decshape, head.init_betas),
        (said.camera, head.deccam, head.init_cam),
    ):
        torch.testing.assert_close(value, x[:, 0] @ layer.weight.T + layer.bias + mean, rtol=0, atol=1e-5)


def test_a_crop_s_answer_does_not_depend_on_its_batch() -> None:
    network, images = tiny_network(), tokens(3, 3, 256, 192)
    together = network(images)
    for index in range(3):
        for alone, among in zip(network(images[index : index + 1]), together, strict=True):
            torch.testing.assert_close(alone[0], among[index], rtol=0, atol=1e-5)


def test_a_backbone_in_half_precision_says_nearly_the_same() -> None:
    images = tokens(2, 3, 256, 192)
    exact = tiny_network()(images)
    for dtype in (torch.bfloat16, torch.float16):
        half = tiny_network().half_backbone(dtype)(images)
        assert half.pose.dtype == torch.float32
        for near, value in zip(half, exact, strict=True):
            torch.testing.assert_close(near, value, rtol=0, atol=0.02)


@pytest.mark.slow
def test_full_size_with_random_weights() -> None:
    torch.manual_seed(0)
    network = Hmr2(RELEASED).eval()
    with torch.inference_mode():
        said = network(tokens(1, 3, 256, 192))
    assert [tuple(value.shape) for value in said] == [(1, 144), (1, 10), (1, 3)]
    assert all(torch.isfinite(value).all() for value in said)
