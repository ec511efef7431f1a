"""People found by ultralytics' YOLO and followed by its tracker, ByteTrack.

ultralytics downloads, installs, writes settings and reports home where it is let; here it is not.
"""

import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray

from models.devices import Batches
from models.errors import InputError
from models.people.boxes import people_in_boxes
from models.people.tracking import GAP_SECONDS, Track
from models.people.yolo_checkpoint import FAMILIES, NEXT_STEP, Checkpoint, read_checkpoint

Image = NDArray[np.uint8]
Array = NDArray[np.float64]

SIDE = 640  # pixels of the longer side that the network sees, as it was trained
LOW_SCORE = 0.1  # a box this unsure may go on with a track
HIGH_SCORE = 0.25  # one this sure is looked for among all tracks
START_SCORE = 0.5  # one this sure may begin a track
ON_CPU = 4  # pictures at once on the CPU: every call of ultralytics costs some milliseconds
QUIETLY = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}


def find_people(
    images: Iterable[Image],
    fps: float,
    weights: Path,
    device: torch.device,
    notice: Callable[[str], None] = lambda text: None,
) -> list[Track]:
    """Everybody in a clip, most prominent first, with boxes.

    Args:
        images: the frames, (H, W, 3) uint8 RGB.
        fps: of the frames.
        weights: a file of `ultralytics`.
        device: where the network runs.
        notice: told when a batch did not fit into the GPU's memory.

    Raises:
        InputError: the weights cannot be used.
        StageError: the GPU's memory does not suffice.
    """
    network = Yolo(read_checkpoint(weights), weights, device)
    results = Batches(device, notice, on_cpu=ON_CPU).map(images, network.find)
    return people_in_boxes([numbered(result) for result in follow(results, fps)], fps)


class Yolo:
    """The network.

    Args:
        checkpoint: its tensors.
        path: where they come from, for the message.
        device: where it runs.

    Raises:
        InputError: the tensors are not those of the network that the checkpoint names.
    """

    def __init__(self, checkpoint: Checkpoint, path: Path, device: torch.device) -> None:
        package = quiet_ultralytics()
        self._network = package.nn.tasks.DetectionModel(
            definition(checkpoint.definition), nc=len(checkpoint.names), verbose=False
        )
        _fill(self._network, checkpoint, path)
        self._network.names, self._network.task = checkpoint.names, "detect"
        self._predictor = package.models.yolo.detect.DetectionPredictor(
            overrides={
                "task": "detect",
                "mode": "predict",
                "classes": [checkpoint.person],
                "conf": LOW_SCORE,
                "imgsz": SIDE,
                "device": str(device),
                "quantize": 16 if device.type == "cuda" else None,
                "verbose": False,
                "save": False,
            }
        )

    @property
    def module(self) -> torch.nn.Module:
        """What `find` runs, a copy on the device; there after its first call."""
        return self._predictor.model

    def find(self, images: Sequence[Image]) -> list[Any]:
        """ultralytics' Results, one for each (H, W, 3) uint8 RGB picture: the boxes of people alone."""
        threads = torch.get_num_threads()
        try:
            if not self._predictor.model:
                self._predictor.setup_model(self._network, verbose=False)
            # The order of colours that it wants.
            results = self._predictor([cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in images])
        finally:
            torch.set_num_threads(threads)  # which it sets for the whole process
        return [result.cpu() for result in results]


def definition(name: str) -> dict[str, Any]:
    """What ultralytics brings along under a name such as "yolo11n.yaml", for its `DetectionModel`.

    Given the name alone, ultralytics would look into the current folder first, and it evaluates what such a
    file says.
    """
    package = quiet_ultralytics()
    family, scale = re.fullmatch(FAMILIES, name).groups()  # type: ignore[union-attr]
    folder = Path(package.__file__).parent / "cfg" / "models" / family.removeprefix("yolo")
    content = package.utils.YAML.load(folder / f"{family}.yaml")
    return {**content, "scale": scale, "yaml_file": name}


def follow(results: Iterable[Any], fps: float) -> Iterator[Any]:
    """The same Results with the numbers of the people whom ByteTrack follows; those it does not are left out.

    Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", 2022.

    Args:
        results: of consecutive frames.
        fps: of the frames.
    """
    package = quiet_ultralytics()
    tracker = package.trackers.BYTETracker(
        package.utils.IterableSimpleNamespace(
            track_high_thresh=HIGH_SCORE,
            track_low_thresh=LOW_SCORE,
            new_track_thresh=START_SCORE,
            track_buffer=max(1, round(GAP_SECONDS * fps)),  # frames for which somebody may be hidden
            match_thresh=0.8,
            fuse_score=True,
        )
    )
    for result in results:
        # (N, 8) x0 y0 x1 y1, number, score, class, index of the box; its own boxes lag behind quick limbs
        tracks = tracker.update(result.boxes.cpu().numpy(), result.orig_img).reshape(-1, 8)
        found = result[tracks[:, 7].astype(int)]
        boxes, numbers = found.boxes.data, torch.as_tensor(tracks[:, 4:5], dtype=torch.float32)
        found.update(boxes=torch.cat([boxes[:, :4], numbers, boxes[:, 4:]], dim=1))
        yield found


def numbered(result: Any) -> dict[int, tuple[Array, float]]:
    """The boxes (4,) in pixels and scores in a Results with numbers, by number."""
    boxes = result.boxes
    if boxes is None or boxes.id is None:
        return {}
    return {
        int(number): (box.astype(np.float64), float(score))
        for number, box, score in zip(boxes.id.numpy(), boxes.xyxy.numpy(), boxes.conf.numpy(), strict=True)
    }


def _fill(model: torch.nn.Module, checkpoint: Checkpoint, path: Path) -> None:
    """Gives the network its tensors, all of them and nothing else."""
    wanted = model.state_dict()
    lacking = [name for name in wanted if name not in checkpoint.state]
    foreign = [name for name in checkpoint.state if name not in wanted]
    other = [
        name
        for name, value in checkpoint.state.items()
        if name in wanted and value.shape != wanted[name].shape
    ]
    for problem, names in (
        ("lacks", lacking),
        ("has what is unknown:", foreign),
        ("has other shapes of", other),
    ):
        if names:
            more = " and others" if len(names) > 1 else ""
            name = checkpoint.definition.removesuffix(".yaml")
            raise InputError(
                f"The weights {path}: the file is not {name}; it {problem} {names[0]}{more}.", NEXT_STEP
            )
    model.load_state_dict(checkpoint.state)


@cache
def quiet_ultralytics() -> Any:
    """The package, imported so that it stays off the network and leaves folders and libraries as they are."""
    with _undisturbed(), tempfile.TemporaryDirectory() as settings:
        os.environ["YOLO_CONFIG_DIR"] = settings
        import ultralytics
        import ultralytics.models.yolo.detect
        import ultralytics.nn.tasks
        import ultralytics.trackers
        import ultralytics.utils

        ultralytics.settings.update({"sync": False})
    os.environ.update(QUIETLY)
    logging.getLogger("ultralytics").setLevel(logging.CRITICAL)  # what is wrong, it raises
    return ultralytics


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Undoes what importing changes for everybody: variables, threads, functions of PIL and torch."""
    environment, threads = dict(os.environ), cv2.getNumThreads()
    opened, saved, printing = PIL.Image.open, torch.save, np.get_printoptions()
    os.environ.update(QUIETLY)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        cv2.setNumThreads(threads)
        PIL.Image.open, torch.save = opened, saved
        np.set_printoptions(**printing)
