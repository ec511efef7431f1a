"""Segment Anything (Kirillov et al. 2023) on the part of each picture around one person.

The network looks at a picture once (`look`), which is nearly all of the work; drawing masks for prompts
(`draw`) is cheap and may be repeated.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from segment_anything import sam_model_registry
from torch import Tensor, nn

from models.checkpoints import load_weights
from models.segmentation.choice import Candidates
from models.segmentation.prompts import Prompt
from models.segmentation.views import View

Image = NDArray[np.uint8]
Map = NDArray[np.float32]

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    name: sam_model_registry[name] for name in ("vit_b", "vit_l", "vit_h")
}


class Sam:
    """The network on a device.

    Args:
        network: segment_anything's, with its weights.
        device: where it runs, an attribute, too; on CUDA the image encoder computes in bfloat16.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.module: Any = network.to(device).eval()
        self.device = device

    def view(self, box: NDArray[np.float64], picture: tuple[int, int]) -> View:
        """What the network is to see of a picture (width, height) for the person in a box."""
        cells = self.module.prompt_encoder.mask_input_size[0]
        return View.around(box, picture, self.module.image_encoder.img_size, cells)

    @torch.inference_mode()
    def look(self, images: Sequence[Image], views: Sequence[View]) -> Tensor:
        """Embeddings (B, C, h, w), float16 on the CPU, of B pictures' views.

        Args:
            images: (H, W, 3) RGB each.
        """
        batch = torch.stack([self._input(image, view) for image, view in zip(images, views, strict=True)])
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            embeddings = self.module.image_encoder(batch)
        return embeddings.half().cpu()

    def _input(self, image: Image, view: View) -> Tensor:
        """(3, side, side): the view scaled to the network's square, normalised, padded right and below."""
        part = np.ascontiguousarray(image[view.region].transpose(2, 0, 1))
        pixels = torch.from_numpy(part).to(self.device).float()[None]
        width, height = view.shown
        scaled = F.interpolate(pixels, (height, width), mode="bilinear", antialias=True, align_corners=False)
        return self.module.preprocess(scaled[0])

    @torch.inference_mode()
    def draw(self, embedding: Tensor, view: View, prompt: Prompt, hint: Map | None = None) -> Candidates:
        """Masks for a prompt.

        Args:
            embedding: (C, h, w), of `look`.
            hint: (n, n) logits of about what is meant, on the view's cells; then one mask is drawn instead of
                three.
        """
        sparse, dense = self.module.prompt_encoder(
            points=self._points(view, prompt),
            boxes=self._placed(view, prompt.box.reshape(2, 2)).reshape(1, 4),
            masks=None if hint is None else torch.from_numpy(hint)[None, None].to(self.device),
        )
        logits, scores = self.module.mask_decoder(
            image_embeddings=embedding[None].to(self.device, torch.float32),
            image_pe=self.module.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=hint is None,
        )
        return Candidates(logits[0].float().cpu().numpy(), scores[0].float().cpu().numpy())

    def _points(self, view: View, prompt: Prompt) -> tuple[Tensor, Tensor] | None:
        if not len(prompt.points):
            return None
        labels = torch.from_numpy(prompt.on_subject.astype(np.int64))[None].to(self.device)
        return self._placed(view, prompt.points)[None], labels

    def _placed(self, view: View, points: NDArray[np.float64]) -> Tensor:
        # the network adds the half pixel itself
        return torch.from_numpy(view.to_network(points) - 0.5).float().to(self.device)


def load_sam(path: Path, name: str, device: torch.device, next_step: str = "") -> Sam:
    """The network `name` of `NETWORKS` with the weights of a file, as its authors publish it.

    Args:
        next_step: where the right file is to be had, for the message.

    Raises:
        InputError: the file cannot be read, holds anything but tensors, or those of another model.
    """
    network = NETWORKS[name]()
    load_weights(network, path, f"SAM {name}", next_step)
    return Sam(network, device)
