"""What stage masks does once it runs: has an engine draw, and writes what it draws."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from stages.base import Work
from stages.disk import full_disk_told
from stages.frames import Frames
from stages.images import numbered, write_image
from stages.masks.drawing import Drawing, Mask, Subject, nobody
from stages.masks.own import own_masks

MIN_SHARE = 0.05  # of the subject's box: a smaller mask is none


def _refined(work: Work, frames: Frames, subject: Subject) -> Drawing:
    from stages.masks.refined import refined_silhouettes

    return refined_silhouettes(work, frames, subject)


def _prompted(work: Work, frames: Frames, subject: Subject) -> Drawing:
    from stages.masks.prompted import prompted_masks

    return prompted_masks(work, frames, subject)


ENGINES: dict[str, Callable[[Work, Frames, Subject], Drawing]] = {
    "blazepose": _refined,
    "sam": _prompted,
    "file": own_masks,
}


def write_masks(work: Work) -> dict[str, Any]:
    """Write `000000.png` ... and `masks.npz`.

    Raises:
        InputError: the user's masks do not fit, or no frame has a usable mask.
        StageError: the disk is full.
    """
    frames, subject = Frames.load(work.inputs["frames"]), Subject.load(work.inputs["detect"])
    with full_disk_told(work.output):
        drawing = ENGINES[work.engine](work, frames, subject)
        total = drawing.prepared + len(frames)
        valid = np.zeros(len(frames), dtype=bool)
        for index, mask in enumerate(drawing.masks):
            write_image(numbered(work.output, index), mask)
            valid[index] = subject.valid[index] and _shows_subject(mask, subject.boxes[index])
            work.progress(drawing.prepared + index + 1, total)
        if not valid.any():
            raise _nobody(work.settings.file)
        np.savez(work.output / "masks.npz", valid=valid)
    return {"frames": len(frames), "valid": int(valid.sum()), **drawing.facts}


def _shows_subject(mask: Mask, box: NDArray[np.float64]) -> bool:
    x0, y0, x1, y1 = np.maximum(np.round(box), 0).astype(int)
    inside = mask[y0:y1, x0:x1]
    return bool(inside.size and (inside > 127).mean() >= MIN_SHARE)


def _nobody(file: Path | None) -> InputError:
    if file is None:
        return nobody()
    return InputError(
        f"{file}: no mask covers the person chosen.",
        "Check that the masks belong to this video, or use --person.",
    )
