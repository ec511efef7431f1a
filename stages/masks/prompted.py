"""The engine "sam": Segment Anything, asked with what stage detect found, its masks chosen over the clip."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.devices import Batches, choose_device
from models.npz import Unreadable, read_npz, read_stored
from models.people import Landmarks
from models.segmentation.choice import Candidates, Query, Settled, settle
from models.segmentation.prompts import make_prompt
from models.segmentation.sam import Sam, load_sam
from models.segmentation.views import coverage
from models.weights import how_to_get, require
from stages.base import Progress, Work
from stages.frames import Frames
from stages.masks import MasksSettings
from stages.masks.drawing import Drawing, Mask, Subject, nobody

log = logging.getLogger(__name__)

Queries = Mapping[int, Query]  # by frame, where the subject is seen

MOST = 16  # pictures at once: more are no faster even for the smallest network


def prompted_masks(work: Work, frames: Frames, subject: Subject) -> Drawing:
    """Masks of the subject by Segment Anything.

    What the network said of every frame is kept in the scratch folder, from where a stopped run goes on.
    """
    if not subject.valid.any():
        raise nobody()
    sam, warnings = _load(work.settings), list[str]()
    queries = _queries(sam, work.inputs["detect"], frames, subject)
    memory = _Memory(work.scratch)
    _look(sam, frames, queries, memory, Batches(sam.device, warnings.append, MOST), work.progress)

    def redraw(index: int, hint: NDArray[np.float32]) -> Candidates:
        return sam.draw(memory.embedding(index), queries[index].view, queries[index].prompt, hint)

    settled = settle(queries, memory.candidates, redraw)
    facts = {
        "model": work.settings.model,
        "redrawn": len(settled.replaced) - len(settled.interpolated),
        "interpolated": len(settled.interpolated),
        "warnings": warnings,
    }
    return Drawing(_masks(frames, queries, memory, settled), facts, prepared=len(frames))


def _load(settings: MasksSettings) -> Sam:
    key, device = f"sam_{settings.model}", choose_device(settings.device)
    if settings.weights is not None:
        return load_sam(settings.weights, settings.model, device, "Check masks.model and masks.weights.")
    return load_sam(require(key), settings.model, device, f"{how_to_get(key)} --force")


def _queries(sam: Sam, detect: Path, frames: Frames, subject: Subject) -> Queries:
    """What the network is asked, by frame, from what stage detect found."""
    landmarks, others = Landmarks.load(detect / "landmarks.npz"), _others(detect)
    image, size = np.asarray(landmarks.image, np.float64), (frames.width, frames.height)
    queries = {}
    for index in map(int, np.flatnonzero(subject.valid)):
        box = subject.boxes[index]
        prompt = make_prompt(box, image[:, index], landmarks.valid[:, index], others(index))
        queries[index] = Query(prompt, sam.view(box, size))
    return queries


def _others(detect: Path) -> Callable[[int], NDArray[np.float64]]:
    """For a frame, (M, 2, 2) the hips and the upward vectors of the people in it other than the subject."""
    chosen = json.loads((detect / "tracks.json").read_text("utf-8"))["chosen"]
    people = read_stored(detect / "people.npz", "hips", "up", "seen")
    circles, seen = np.stack([people["hips"], people["up"]], axis=2), people["seen"]
    seen[chosen - 1] = False
    return lambda index: circles[seen[:, index], index]


def _look(
    sam: Sam, frames: Frames, queries: Queries, memory: "_Memory", batches: Batches, progress: Progress
) -> None:
    """Has the network look at every frame that it has not seen yet, and draw its masks."""
    asked = [index for index in queries if index not in memory]
    done = len(frames) - len(asked)

    def embed(batch: Sequence[int]) -> Tensor:
        return sam.look([frames.image(i) for i in batch], [queries[i].view for i in batch])

    for index, embedding in zip(asked, batches.map(asked, embed), strict=True):
        memory.add(index, embedding, sam.draw(embedding, queries[index].view, queries[index].prompt))
        done += 1
        progress(done, 2 * len(frames), "looking at the pictures")


def _masks(frames: Frames, queries: Queries, memory: "_Memory", settled: Settled) -> Iterator[Mask]:
    shape = (frames.height, frames.width)
    for index in range(len(frames)):
        if index not in queries:
            yield np.zeros(shape, np.uint8)
            continue
        logits = settled.replaced.get(index)
        if logits is None:
            logits = memory.candidates(index).logits[settled.taken[index]]
        yield coverage(logits, queries[index].view, shape)


class _Memory:
    """What the network said of each frame, in a folder.

    An embedding is computed once, is needed again where a frame is redrawn, and takes two megabytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:06d}.npz"

    def __contains__(self, index: int) -> bool:
        """Whether all of it is there as it was written; a zip file's parts have checksums."""
        try:
            self.embedding(index), self.candidates(index)
        except FileNotFoundError:
            return False
        except (OSError, Unreadable, KeyError) as error:
            log.warning("what the network said of frame %d is damaged (%s); asking again", index, error)
            return False
        return True

    def add(self, index: int, embedding: Tensor, found: Candidates) -> None:
        partial = self._path(index).with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(
                file, embedding=embedding.numpy(), logits=found.logits.astype(np.float16), scores=found.scores
            )
        partial.replace(self._path(index))

    def embedding(self, index: int) -> Tensor:
        return torch.from_numpy(read_npz(self._path(index), ["embedding"])["embedding"])

    def candidates(self, index: int) -> Candidates:
        found = read_npz(self._path(index), ["logits", "scores"])
        return Candidates(found["logits"].astype(np.float32), found["scores"])
