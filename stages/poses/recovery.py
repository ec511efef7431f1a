"""Poses by HMR 2.0: its crops cut out of the frames, its answers cleaned and put before the clip's camera."""

from typing import Any

import numpy as np
import torch

from models import weights
from models.body import BodyModel, Motion
from models.devices import Batches, choose_device
from models.errors import StageError
from models.hmr.hmr2 import load_network
from models.hmr.hmr2.estimation import answers, crops, placed
from models.hmr.hmr2.motion import recover
from stages.base import Work, counted
from stages.frames import Frames
from stages.masks import Subject
from stages.poses.found import found_motion

AVERAGE_SHAPE = (
    "the shape that HMR 2.0 estimates is for SMPL's own body, which --body SMPL_NEUTRAL.pkl brings; "
    "the embedded body starts from an average one"
)


def recovered(work: Work, frames: Frames, body: BodyModel) -> tuple[Motion, dict[str, Any]]:
    """The subject's motion as HMR 2.0 estimates it in the frames in which stage detect saw them.

    Raises:
        InputError: the weights are not those of HMR 2.0, or CUDA is asked for and not to be had.
        StageError: no frame has a usable estimate, or the GPU's memory does not suffice.
    """
    subject = Subject.load(work.inputs["detect"])
    device = choose_device(work.settings.device)
    notices: list[str] = []
    network = load_network(weights.require("hmr2")).to(device)
    if device.type == "cuda":
        network = network.half_backbone(torch.float16)
    seen = crops(frames.images(), subject.boxes, subject.valid)
    inputs = counted(seen, int(subject.valid.sum()), work.progress)
    said = np.stack(list(answers(network, device, inputs, Batches(device, notices.append))))
    estimates = placed(said, subject.valid, subject.boxes, frames.K)
    if not estimates.known.any():
        raise StageError(
            "HMR 2.0 gives no usable pose for any frame.",
            "Its weights may be damaged: hsplat-pipeline weights fetch hmr2 --force; or use "
            "--set poses.engine=blazepose.",
        )
    motion = recover(estimates, frames.fps, body, work.settings.height)
    return found_motion(motion, estimates.known, frames, body), {
        "height": round(motion.height, 3),
        "replaced": round(motion.replaced, 4),
        "device": device.type,
        "warnings": notices + ([AVERAGE_SHAPE] if body.kind != "smpl" else []),
    }
