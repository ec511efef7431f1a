"""Depth Anything (Yang et al. 2024) through transformers; nothing is downloaded."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from transformers import AutoConfig, AutoImageProcessor, DepthAnythingForDepthEstimation
from transformers.utils import logging as transformers_logging

from models.errors import InputError

Image = NDArray[np.uint8]
KINDS = {"relative": "disparity", "metric": "depth"}  # by the configuration's `depth_estimation_type`
NAMED = 3  # tensors named in a message


class DepthAnything:
    """The network on a device, in half precision on CUDA.

    Attributes:
        kind: of its maps: "disparity", the inverse depth of any scale and shift, or "depth" in metres.
        device: where it runs.
    """

    def __init__(self, network: Any, processor: Any, device: torch.device) -> None:
        """
        Args:
            network: transformers' DepthAnythingForDepthEstimation.
            processor: transformers' own, which scales and normalises pictures as the network expects.
        """
        self.kind = KINDS[network.config.depth_estimation_type]
        self.device = device
        self._dtype = torch.float16 if device.type == "cuda" else torch.float32
        self.module = network.to(device, self._dtype).eval()
        self._processor = processor

    @torch.inference_mode()
    def estimate(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Maps (B, h, w) of B pictures of one size, as the network draws them, but no larger than these.

        Args:
            images: (H, W, 3) RGB each.

        Returns:
            not negative; 0 = unknown, or at infinity.
        """
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
        inputs = self._processor(images=batch, return_tensors="pt", device=self.device)
        maps = self.module(inputs["pixel_values"].to(self._dtype)).predicted_depth.float()
        size = batch.shape[-2:]
        if maps.shape[-2] > size[0]:
            maps = F.interpolate(maps[:, None], size, mode="bilinear", antialias=True)[:, 0]
        return maps.nan_to_num(0, 0, 0).clamp_min(0).cpu().numpy()


def load_depth_anything(folder: Path, device: torch.device, next_step: str = "") -> DepthAnything:
    """The network in a folder, as transformers saves it.

    Args:
        next_step: where the right files are to be had, for the message.

    Raises:
        InputError: the folder or a file in it cannot be read, or holds another model.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}, a model of Depth Anything, is no folder.", next_step)
    with _quiet(), _failures_told(folder, next_step):
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type != "depth_anything":
            raise InputError(
                f"{folder} holds a model of the type {config.model_type}, not depth_anything.", next_step
            )
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        load: Any = DepthAnythingForDepthEstimation.from_pretrained
        network, facts = load(
            folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True,
            ignore_mismatched_sizes=True,
        )  # fmt: skip
    for what, names in (
        ("are missing", facts["missing_keys"]),
        ("have another shape", [name for name, *_ in facts["mismatched_keys"]]),
    ):
        if names:
            named = ", ".join(sorted(names)[:NAMED]) + (", ..." if len(names) > NAMED else "")
            raise InputError(f"{folder}: {len(names)} of the network's tensors {what} ({named}).", next_step)
    return DepthAnything(network, processor, device)


@contextlib.contextmanager
def _failures_told(folder: Path, next_step: str) -> Iterator[None]:
    """transformers, safetensors and the hub raise many kinds of errors for missing or damaged files."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except PermissionError as error:
        raise InputError(
            f"{error.filename or folder} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error
    except Exception as error:
        reason = (str(error).strip().split("\n")[0] or type(error).__name__).rstrip(".")
        raise InputError(
            f"{folder} cannot be loaded as a model of Depth Anything: {reason[:200]}.", next_step
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' own progress bars and warnings; what matters of them is raised."""
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
