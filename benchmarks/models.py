"""Measures the real engines: python -m benchmarks.models [--device cuda --full] [--write] [--only NAME]...

Weights are random, so nothing is said of accuracy. Without --full networks are small where they can be, so
that what is left is our own code around them: their input, batching, and all that follows. The rest is the
time outside the network's forward pass; with small networks it should be below 5 ms a frame. On the CPU all
times are the process's own (OMP_NUM_THREADS=1 makes it one thread's). The best of three rounds counts.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models import gpu
from models.devices import Batches, choose_device
from models.errors import InputError

Image = NDArray[np.uint8]

CLIP = Path(__file__).parents[1] / "examples" / "clip.mp4"
PAGE = Path(__file__).with_suffix(".md")
REST_TARGET = 5.0  # ms a frame outside the network
WARM_UP = 4  # frames
ROUNDS = 3  # of which the best counts
FPS = 15.0
HEAD = """| stage | network | frames/s | target | network, ms | the rest, ms | GPU memory |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Prepared:
    """An engine ready to run.

    Attributes:
        run: does the stage's work on a clip's (H, W, 3) uint8 RGB pictures.
        network: whose forward passes are told apart from the rest; where it is a list, those of its members.
        name: the network and its size.
    """

    run: Callable[[Sequence[Image]], object]
    network: nn.Module
    name: str


@dataclass(frozen=True)
class Trial:
    """A row of the table.

    Attributes:
        stage: which it serves.
        prepare: the engine on a device, full-size or small.
        target: frames a second at least, full-size on an H200.
    """

    stage: str
    prepare: Callable[[torch.device, bool], Prepared]
    target: float


def yolo(device: torch.device, full: bool) -> Prepared:
    """YOLO11 nano, the default: small enough for both.

    Random weights find nobody, so three people who walk through the picture stand for what it found.
    """
    from models.people.boxes import people_in_boxes
    from models.people.yolo import ON_CPU, Yolo, follow, numbered, quiet_ultralytics
    from models.people.yolo_checkpoint import Checkpoint

    name = "yolo11n.yaml"
    random = quiet_ultralytics().YOLO(name, task="detect", verbose=False).model
    names = {0: "person"} | {number: "thing" for number in range(1, len(random.names))}
    network = Yolo(Checkpoint(name, names, random.state_dict()), Path("random"), device)
    network.find(pictures(1))

    def walking(result: Any, frame: int) -> Any:
        height, width = result.orig_shape
        x = [(0.1 + 0.3 * i + 0.002 * frame) * width for i in range(3)]
        rows = [[a, 0.2 * height, a + 0.15 * width, 0.9 * height, 0.9, 0.0] for a in x]
        result.update(boxes=torch.tensor(rows))
        return result

    def run(images: Sequence[Image]) -> object:
        results = Batches(device, on_cpu=ON_CPU).map(images, network.find)
        tracked = follow((walking(result, frame) for frame, result in enumerate(results)), FPS)
        return people_in_boxes([numbered(result) for result in tracked], FPS)

    return Prepared(run, network.module, "YOLO11 n")


def hmr2(device: torch.device, full: bool) -> Prepared:
    """HMR 2.0, whose mean body stands upright in its crop; random weights add little to it."""
    from models.body import JOINT_COUNT, load_embedded_body
    from models.hmr.hmr2 import RELEASED, Hmr2, Size
    from models.hmr.hmr2.estimation import answers, crops, placed
    from models.hmr.hmr2.motion import recover

    small = Size(width=32, depth=2, heads=2, head_width=32, head_depth=2, head_heads=2, head_part=8)
    network = Hmr2(RELEASED if full else small).eval().requires_grad_(False)
    head = network.smpl_head
    head.init_body_pose.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(JOINT_COUNT))
    head.init_body_pose[:, 4] = -1
    head.init_cam.copy_(torch.tensor([0.9, 0.0, 0.2]))
    head.deccam.weight.mul_(0.1)
    network.to(device)
    if device.type == "cuda":
        network.half_backbone(torch.float16)
    body = load_embedded_body()

    def run(images: Sequence[Image]) -> object:
        height, width = images[0].shape[:2]
        boxes = np.tile([0.3 * width, 0.1 * height, 0.7 * width, 0.95 * height], (len(images), 1))
        seen = np.ones(len(images), bool)
        K = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]])
        said = np.stack(list(answers(network, device, crops(images, boxes, seen), Batches(device))))
        return recover(placed(said, seen, boxes, K), FPS, body)

    return Prepared(run, network, "HMR 2.0")


def sam(device: torch.device, full: bool) -> Prepared:
    """Segment Anything ViT-B, with a prompt of a box and some points; its masks are noise."""
    from models.segmentation.choice import Candidates, Query, settle
    from models.segmentation.prompts import Prompt
    from models.segmentation.sam import NETWORKS, Sam
    from models.segmentation.views import coverage
    from tests.models.segmentation.tiny import tiny_network

    network = Sam(NETWORKS["vit_b"]() if full else tiny_network(), device)

    def run(images: Sequence[Image]) -> object:
        height, width = images[0].shape[:2]
        box = np.array([0.3 * width, 0.1 * height, 0.7 * width, 0.95 * height])
        points = np.linspace(box[:2] + 40, box[2:] - 40, 13)
        query = Query(Prompt(box, points, np.arange(13) < 11), network.view(box, (width, height)))
        embeddings = list(
            Batches(device, most=16).map(images, lambda batch: network.look(batch, [query.view] * len(batch)))
        )
        found = [network.draw(embedding, query.view, query.prompt) for embedding in embeddings]

        def redraw(index: int, hint: NDArray[np.float32]) -> Candidates:
            return network.draw(embeddings[index], query.view, query.prompt, hint)

        settled = settle(dict.fromkeys(range(len(images)), query), found.__getitem__, redraw)
        maps = (settled.replaced.get(i, found[i].logits[settled.taken[i]]) for i in range(len(images)))
        return [coverage(logits, query.view, (height, width)) for logits in maps]

    parts = (network.module.image_encoder, network.module.prompt_encoder, network.module.mask_decoder)
    return Prepared(run, nn.ModuleList(parts), "SAM ViT-B")


def depth_anything(device: torch.device, full: bool) -> Prepared:
    """Depth Anything V2 Small at the size that its preprocessing asks for."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, DPTImageProcessor

    from models.depth.depth_anything import DepthAnything
    from stages.depth.maps import write_maps
    from tests.models.depth.tiny import tiny_network

    network: Any = DepthAnythingForDepthEstimation(DepthAnythingConfig()) if full else tiny_network()
    side = 518 if full else network.config.backbone_config.image_size
    processor = DPTImageProcessor(
        size={"height": side, "width": side}, keep_aspect_ratio=True, ensure_multiple_of=14, resample=3
    )
    estimator = DepthAnything(network, processor, device)

    def run(images: Sequence[Image]) -> object:
        maps = Batches(device, most=32).map(images, estimator.estimate)
        with tempfile.TemporaryDirectory() as folder:
            return write_maps(Path(folder) / "depth.npz", estimator.kind, maps, len(images), compact=True)

    return Prepared(run, estimator.module, "Depth Anything V2 Small")


TRIALS = {
    "yolo": Trial("detect", yolo, 150.0),
    "hmr2": Trial("poses", hmr2, 100.0),
    "sam": Trial("masks", sam, 10.0),
    "depth_anything": Trial("depth", depth_anything, 60.0),
}


@dataclass(frozen=True)
class Measured:
    """A row's figures: frames a second, ms a frame in the network and in the rest, bytes of the GPU."""

    trial: Trial
    name: str
    speed: float
    network: float
    rest: float
    memory: int

    def row(self, full: bool) -> str:
        target = f"{self.trial.target:.0f}: {_verdict(self.speed >= self.trial.target)}" if full else "-"
        rest = f"{self.rest:.1f}"
        if not full:
            rest += f", below {REST_TARGET:.0f}: {_verdict(self.rest < REST_TARGET)}"
        memory = f"{self.memory / 2**30:.1f} GiB" if self.memory else "-"
        cells = (
            self.trial.stage,
            self.name,
            f"{self.speed:.0f}",
            target,
            f"{self.network:.1f}",
            rest,
            memory,
        )
        return f"| {' | '.join(cells)} |"


def _verdict(met: bool) -> str:
    return "met" if met else "missed"


def measure(trial: Trial, device: torch.device, full: bool, count: int) -> Measured:
    """Runs a trial on so many frames of the example clip."""
    gpu.forget_peak_memory()
    prepared = trial.prepare(device, full)
    images = pictures(count)
    prepared.run(images[:WARM_UP])
    total, inside = min(once(prepared, images, device) for _ in range(ROUNDS))
    return Measured(
        trial=trial,
        name=prepared.name,
        speed=count / total,
        network=1e3 * inside / count,
        rest=1e3 * (total - inside) / count,
        memory=gpu.peak_memory(),
    )


@contextmanager
def timed(network: nn.Module, device: torch.device) -> Iterator[list[float]]:
    """Collects the seconds of every forward pass."""
    spent: list[float] = []
    begun: list[float] = []
    hooks = [
        hook
        for part in (network if isinstance(network, nn.ModuleList) else [network])
        for hook in (
            part.register_forward_pre_hook(lambda *_: begun.append(clock(device))),
            part.register_forward_hook(lambda *_: spent.append(clock(device) - begun.pop())),
        )
    ]
    try:
        yield spent
    finally:
        for hook in hooks:
            hook.remove()


def once(prepared: Prepared, images: Sequence[Image], device: torch.device) -> tuple[float, float]:
    """The seconds that a clip takes, and those of them that the network does."""
    with timed(prepared.network, device) as spent:
        start = clock(device)
        prepared.run(images)
        return clock(device) - start, sum(spent)


def clock(device: torch.device) -> float:
    """Seconds: the process's own on the CPU, whatever others do; on a GPU once its work is done."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def pictures(count: int) -> list[Image]:
    """So many frames of the example clip, from the beginning again after its end."""
    with av.open(str(CLIP)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(video.decode(video=0), count)]
    return list(islice(cycle(frames), count))


def section(device: torch.device, full: bool) -> str:
    """The heading under which the figures belong."""
    place = torch.cuda.get_device_name(device) if device.type == "cuda" else "the CPU"
    return f"On {place}, {'full-size' if full else 'small'} networks"


def written(page: str, title: str, body: str) -> str:
    """The page with a section's content exchanged, or added at its end."""
    head, *sections = page.split("\n## ")
    others = [section for section in sections if section.split("\n")[0] != title]
    return "\n\n## ".join(part.strip("\n") for part in [head, *others, f"{title}\n{body}"]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; gives its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--full", action="store_true", help="full-size networks")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--only", choices=TRIALS, action="append", help="one engine; repeatable")
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name}")
    options = parser.parse_args(arguments)
    try:
        device = choose_device(options.device)
    except InputError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    rows = [HEAD]
    for name in options.only or TRIALS:
        rows.append(measure(TRIALS[name], device, options.full, options.frames).row(options.full))
        gpu.release()
        print(rows[-1], file=sys.stderr)
    body = "\n".join(["", *rows])
    if options.write:
        PAGE.write_text(written(PAGE.read_text("utf-8"), section(device, options.full), body), "utf-8")
    else:
        print(body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
