"""What stage detect does once it runs: finds people, chooses the subject, looks at them closely."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import weights
from models.errors import InputError
from models.people import Track
from models.people.orientation import oriented
from models.people.subject import SubjectRecorder, look_at
from stages.base import Work
from stages.detect import HEAVY, DetectSettings
from stages.disk import full_disk_told
from stages.frames import Frames
from stages.images import numbered, write_image

Image = NDArray[np.uint8]
Notice = Callable[[str], None]

FEW = 0.5  # share of the frames with the subject below which the user is told


def blazepose_tracks(work: Work, images: Iterable[Image], fps: float, notice: Notice) -> list[Track]:
    """Everybody whom BlazePose finds."""
    from models.people.blazepose import find_people

    return find_people(images, fps)


def yolo_tracks(work: Work, images: Iterable[Image], fps: float, notice: Notice) -> list[Track]:
    """Everybody whom YOLO finds, with boxes."""
    from models.devices import choose_device
    from models.people.yolo import find_people

    settings: DetectSettings = work.settings
    path = settings.weights or weights.require(settings.model)
    return find_people(images, fps, path, choose_device(settings.device), notice)


# An engine finds and follows everybody in the frames and sorts them by prominence.
ENGINES: dict[str, Callable[[Work, Iterable[Image], float, Notice], list[Track]]] = {
    "blazepose": blazepose_tracks,
    "yolo": yolo_tracks,
}


def find_subject(work: Work) -> dict[str, Any]:
    """Write `tracks.json`, `people.npz`, `subject.npz`, `landmarks.npz` and `silhouettes/*.png`.

    Raises:
        InputError: nobody is in the clip, or not the person asked for.
        StageError: the disk is full.
    """
    frames = Frames.load(work.inputs["frames"])
    notices: list[str] = []
    finder, _, heavy = work.engine.partition("+")
    network = weights.require("blazepose_heavy") if heavy else None
    total = (2 if finder == "blazepose" else 3) * len(frames)

    def watched(note: str, done: int) -> Iterable[Image]:
        for index, image in enumerate(frames.images()):
            work.progress(done + index, total, note)
            yield image

    tracks = ENGINES[finder](work, watched("finding people", 0), frames.fps, notices.append)
    candidates = [_candidate(number, track, frames) for number, track in enumerate(tracks, 1)]
    chosen = _choose(candidates, work.settings.person, frames)
    track = tracks[chosen - 1]
    others = [other for other in tracks if other is not track]
    boxes = track.boxes(len(frames))
    if boxes is not None:  # which say nothing of which way up the person is
        images = watched("looking which way up the subject is", len(frames))
        track = oriented(images, len(frames), frames.fps, track)

    with full_disk_told(work.output):
        folder = work.output / "silhouettes"
        folder.mkdir()
        recorder = SubjectRecorder(frames.width, frames.height)
        images = watched("looking at the subject", total - len(frames))
        for index, look in enumerate(look_at(images, len(frames), frames.fps, track, others, network)):
            probability = look.probability(frames.height, frames.width)
            write_image(numbered(folder, index), np.round(255 * probability).astype(np.uint8))
            recorder.add(look)
        work.progress(total, total)
        if (subject := recorder.finish(boxes)) is None:
            raise _nobody(frames)
        subject.landmarks.save(work.output / "landmarks.npz")
        np.savez(work.output / "subject.npz", boxes=subject.boxes, scores=subject.scores, valid=subject.valid)
        _save_people(work.output / "people.npz", tracks, len(frames), frames.fps)
        report = {"chosen": chosen, "people": candidates}
        (work.output / "tracks.json").write_text(json.dumps(report, indent=2) + "\n")
    valid = int(subject.valid.sum())
    warnings = [*notices, *_warnings(candidates, chosen, valid, len(frames))]
    looker = heavy or HEAVY.embedded
    return {**report, "landmarks": looker, "frames": len(frames), "valid": valid, "warnings": warnings}


def _save_people(path: Path, tracks: Sequence[Track], length: int, fps: float) -> None:
    """Where everybody is: `hips` and `up` (P,T,2), the circle around each person, and `seen` (P,T)."""
    hips, up = np.zeros((2, len(tracks), length, 2))
    seen = np.zeros((len(tracks), length), bool)
    for person, track in enumerate(tracks):
        for frame, circle in enumerate(track.circles(length, fps)):
            if circle is not None:
                hips[person, frame], up[person, frame], seen[person, frame] = circle.hips, circle.up, True
    np.savez(path, hips=hips, up=up, seen=seen)


def _warnings(candidates: Sequence[dict[str, Any]], chosen: int, valid: int, frames: int) -> list[str]:
    """What the user may want otherwise: somebody else followed, or another part of the clip."""
    warnings = []
    if len(candidates) > 1:
        others = "; ".join(_described(c) for c in candidates if c["person"] != chosen)
        warnings.append(f"following person {chosen}; --person takes another: {others}")
    if valid < FEW * frames:
        warnings.append(
            f"the person is seen in only {valid} of {frames} frames; "
            "choose the part that shows them with frames.start and frames.end"
        )
    return warnings


def _described(candidate: dict[str, Any]) -> str:
    c = candidate
    return (
        f"{c['person']}: {c['frames']} frames ({c['first_frame']} to {c['last_frame']}), {c['where']}, "
        f"{c['height_pixels']:.0f} pixels tall"
    )


def _candidate(number: int, track: Track, frames: Frames) -> dict[str, Any]:
    """What helps to tell a person from the others; frames are the video's."""
    first, last = (int(frames.source_index[i]) for i in (track.frames[0], track.frames[-1]))
    middle = track.detections[len(track.detections) // 2].circle.hips / (frames.width, frames.height)
    return {
        "person": number,
        "frames": len(track.frames),
        "first_frame": first,
        "last_frame": last,
        "height_pixels": round(2 * float(track.radii.mean()), 1),
        "where": _place(float(middle[0])),
        "score": round(float(track.scores.mean()), 3),
        "prominence": round(track.prominence / (frames.height * len(frames)), 4),
    }


def _place(across: float) -> str:
    return "left" if across < 1 / 3 else "right" if across > 2 / 3 else "middle"


def _choose(candidates: Sequence[dict[str, Any]], person: int | None, frames: Frames) -> int:
    """The subject's number."""
    if not candidates:
        raise _nobody(frames)
    if person is None:
        return 1
    if person > len(candidates):
        listed = "; ".join(_described(c) for c in candidates)
        raise InputError(
            f"There is no person {person} in the video; found {listed}.",
            f"Give --person a number from 1 to {len(candidates)}, or leave it out.",
        )
    return person


def _nobody(frames: Frames) -> InputError:
    first, last = frames.source_index[0], frames.source_index[-1]
    return InputError(
        f"Nobody was found in {len(frames)} pictures of the video (from its frames {first} to {last}).",
        "Film one person whole, well lit and at least a quarter of the picture's height; "
        "if they come in later, choose that part with frames.start and frames.end.",
    )
