"""The real engines with networks so small that a whole run takes seconds, their weights in the cache as if
they had been fetched, so that `auto` takes them.

HMR 2.0 and Depth Anything are small networks of random weights, and what they say is used as it is: a person
who stands upright, and maps that mean nothing. YOLO11 nano and Segment Anything of random weights find nobody
and draw noise; they are loaded and run, and then their answers are exchanged for known ones, as without a
person no run can end.
"""

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.weights import TABLE
from models.weights.cache import installing
from tests.made_up_weights import install

REACH = 0.09  # of the box's longer side: half the width of a limb


def install_all(patch: pytest.MonkeyPatch, cache: Path, boxes: NDArray[np.float64]) -> None:
    """Puts all four in place.

    Args:
        cache: an empty folder to become the weights' cache.
        boxes: (T, 4) where the person is in the frames of the run, for YOLO to find.
    """
    patch.setenv("HSPLAT_WEIGHTS", str(cache))
    install_yolo(patch, boxes)
    install_hmr2(patch)
    install_sam(patch)
    install_depth_anything()


def install_yolo(patch: pytest.MonkeyPatch, boxes: NDArray[np.float64]) -> None:
    """YOLO11 nano with random weights, which finds the given boxes, one in every picture."""
    from models.people import yolo

    torch.manual_seed(0)
    network = yolo.quiet_ultralytics().nn.tasks.DetectionModel("yolo11n.yaml", nc=1, verbose=False)
    network.names = {0: "person"}
    install("yolo11n", saved({"model": network.half()}))
    find, waiting = yolo.Yolo.find, iter(boxes)

    def found(self: yolo.Yolo, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        results = find(self, images)
        for result, box in zip(results, waiting, strict=False):
            result.update(boxes=torch.tensor([[*box, 0.9, 0.0]]))
        return results

    patch.setattr(yolo.Yolo, "find", found)


def install_hmr2(patch: pytest.MonkeyPatch) -> None:
    """HMR 2.0 in small."""
    from models.hmr.hmr2 import checkpoint as loading
    from tests.models.hmr.hmr2.tiny import TINY, checkpoint, tiny_network

    patch.setattr(loading.load_network, "__defaults__", (TINY,))
    install("hmr2", checkpoint(tiny_network()))


def install_sam(patch: pytest.MonkeyPatch) -> None:
    """Segment Anything in small, which draws what lies near the lines between a prompt's points."""
    from models.segmentation import sam
    from models.segmentation.choice import Candidates
    from models.segmentation.prompts import Prompt
    from models.segmentation.views import View
    from tests.models.segmentation.tiny import tiny_network

    torch.manual_seed(0)
    patch.setitem(sam.NETWORKS, "vit_b", tiny_network)
    install("sam_vit_b", saved(tiny_network().state_dict()))
    draw = sam.Sam.draw

    def drawn(
        self: sam.Sam, embedding: torch.Tensor, view: View, prompt: Prompt, hint: Any = None
    ) -> Candidates:
        noise = draw(self, embedding, view, prompt, hint)
        assert np.isfinite(noise.logits).all()
        person = near_lines(prompt, view)
        return Candidates(np.repeat(person[None], len(noise.logits), 0), noise.scores)

    patch.setattr(sam.Sam, "draw", drawn)


def near_lines(prompt: Any, view: Any) -> NDArray[np.float32]:
    """Pixels inside a stick figure of the prompt's points on the subject, at the view's cells."""
    factor, offset = view.to_cells()
    middle = (np.arange(view.cells)[:, None] + 0.5 - offset) / factor
    places = np.stack(np.meshgrid(middle[:, 0], middle[:, 1]), -1)
    points = prompt.points[prompt.on_subject]
    along = np.linspace(0, 1, 12)[:, None]
    dots = np.concatenate([a + along * (b - a) for a, b in pairwise(points)])
    distance = np.sqrt(np.square(places[:, :, None] - dots).sum(-1)).min(-1)
    size = max(prompt.box[2] - prompt.box[0], prompt.box[3] - prompt.box[1])
    return (REACH * size - distance).astype(np.float32)


def install_depth_anything() -> None:
    """Depth Anything V2 in small, relative."""
    from tests.models.depth.tiny import save_tiny

    with installing(TABLE["depth_anything_v2_small"], "test") as home:
        save_tiny(home)


def saved(content: Any) -> bytes:
    """What torch.save writes."""
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()
