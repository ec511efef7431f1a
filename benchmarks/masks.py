"""Measure the silhouettes: python -m benchmarks.masks [--write], from the repository root.

Needs the folder of benchmark sequences (HSPLAT_SHARED). Every way starts from what the stages frames and
detect give: the mean of BlazePose's probabilities in six passes. IoU: sum of min over
sum of max of the coverages; boundary: mean distance in pixels between the outlines at 0.5, both ways; both
averaged over the frames. Times are CPU time of one thread for the refinement alone, with all that it learns
from the clip. The constants were chosen on these sequences, so the figures are somewhat optimistic.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.segmentation import Scene, learn_scene, refine_silhouette
from stages import detect, frames
from stages.base import Work
from stages.images import read_image
from stages.masks import Subject
from stages.masks.refined import SAMPLES

Image = NDArray[np.uint8]
Map = NDArray[np.float32]
SEQUENCES = ("seq01_walk_circle", "seq02_apose_turn", "seq05_kata")


class Clip(NamedTuple):
    """What the stages before masks give for a clip."""

    images: list[Image]
    probabilities: list[Map]
    boxes: NDArray[np.float64]

    def refined(self, scene: Scene | None) -> list[Map]:
        rows = zip(self.images, self.probabilities, self.boxes, strict=True)
        return [refine_silhouette(image, probability, scene, box) for image, probability, box in rows]

    def scene(self) -> Scene:
        chosen = np.unique(np.linspace(0, len(self.images) - 1, SAMPLES).round().astype(int))
        return learn_scene([self.images[i] for i in chosen], [self.probabilities[i] for i in chosen])


def read_clip(video: Path, fps: float = 15.0) -> Clip:
    with tempfile.TemporaryDirectory() as folder:
        first, second, scratch = (Path(folder) / name for name in ("frames", "detect", "scratch"))
        for path in (first, second, scratch):
            path.mkdir()
        frames.run(Work({}, first, scratch, frames.FramesSettings(video=video, fps=fps), "ffmpeg"))
        detect.run(Work({"frames": first}, second, scratch, detect.DetectSettings(), "blazepose"))
        images = list(frames.Frames.load(first).images())
        greys = [read_image(path)[..., 0] for path in sorted((second / "silhouettes").iterdir())]
        return Clip(images, [grey / np.float32(255) for grey in greys], Subject.load(second).boxes)


def thresholded(clip: Clip) -> list[Map]:
    return [(probability > 0.5).astype(np.float32) for probability in clip.probabilities]


def grabcut(clip: Clip) -> list[Map]:
    return [narrow_grabcut(*pair) for pair in zip(clip.images, clip.probabilities, strict=True)]


def narrow_grabcut(image: Image, probability: Map) -> Map:
    """GrabCut in a narrow band around the outline, for comparison."""
    person = (probability > 0.5).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(person)
    padding = round(0.12 * height)
    region = np.s_[max(0, y - padding) : y + height + padding, max(0, x - padding) : x + width + padding]
    outer = cv2.dilate(person[region], disc(0.015 * height))
    inner = cv2.erode(person[region], disc(0.0075 * height)) | (probability[region] > 0.95)
    labels = np.where(person[region] > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[outer == 0], labels[inner > 0] = cv2.GC_BGD, cv2.GC_FGD
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(image[region]), labels, None, *models, 1, cv2.GC_INIT_WITH_MASK)
    result = np.zeros(person.shape, dtype=np.float32)
    result[region] = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return result


def disc(diameter: float) -> Image:
    size = 2 * round(diameter / 2) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)


def edges(clip: Clip) -> list[Map]:
    return clip.refined(None)


def edges_and_colours(clip: Clip) -> list[Map]:
    return clip.refined(Scene(clip.scene().colours, None))


def everything(clip: Clip) -> list[Map]:
    return clip.refined(clip.scene())


WAYS: dict[str, Callable[[Clip], list[Map]]] = {
    "network > 0.5": thresholded,
    "narrow GrabCut": grabcut,
    "edges": edges,
    "edges, colours (moving camera)": edges_and_colours,
    "edges, colours, background (still camera)": everything,
}


def iou(mask: Map, truth: Map) -> float:
    return float(np.minimum(mask, truth).sum() / np.maximum(mask, truth).sum())


def boundary_error(mask: Map, truth: Map) -> float:
    first, second = outline(mask), outline(truth)
    return float((distance_to(first)[second].mean() + distance_to(second)[first].mean()) / 2)


def outline(mask: Map) -> NDArray[np.bool_]:
    inside = (mask > 0.5).astype(np.uint8)
    return inside > cv2.erode(inside, np.ones((3, 3), np.uint8))


def distance_to(pixels: NDArray[np.bool_]) -> Map:
    return np.asarray(cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, 5), np.float32)


def table(shared: Path) -> str:
    rows: dict[str, list[str]] = {name: [] for name in WAYS}
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for sequence in SEQUENCES:
        clip = read_clip(shared / "bench" / sequence / "video.mp4")
        truths = truth_of(shared / "bench" / sequence)
        for name, way in WAYS.items():
            began = time.process_time()
            masks = way(clip)
            seconds[name].append((time.process_time() - began) / len(clip.images))
            pairs = list(zip(masks, truths, strict=True))
            score = (
                float(np.mean([iou(*p) for p in pairs])),
                float(np.mean([boundary_error(*p) for p in pairs])),
            )
            scores[name].append(score)
            rows[name].append(f"{score[0]:.3f} / {score[1]:.2f}")
    lines = [
        f"| IoU / boundary, px | {' | '.join(SEQUENCES)} | mean | ms a frame |",
        "|---" * (len(SEQUENCES) + 3) + "|",
    ]
    for name in WAYS:
        mean = np.mean(scores[name], axis=0)
        time_taken = 1000 * np.mean(seconds[name])
        lines.append(
            f"| {name} | {' | '.join(rows[name])} | {mean[0]:.3f} / {mean[1]:.2f} | {time_taken:.0f} |"
        )
    return "\n".join(lines) + "\n"


def truth_of(folder: Path) -> list[Map]:
    with np.load(folder / "masks.npz", allow_pickle=False) as file:
        return list(file[file.files[0]].astype(np.float32) / 255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write benchmarks/masks.md")
    cv2.setNumThreads(1)
    root = Path(__file__).parent.parent
    text = table(Path(os.environ.get("HSPLAT_SHARED", root.parent / "shared")))
    print(text)
    if parser.parse_args().write:
        page = f"# Silhouettes\n\n`python -m benchmarks.masks --write`\n\n{explanation()}\n{text}"
        (root / "benchmarks" / "masks.md").write_text(page)


def explanation() -> str:
    return (__doc__ or "").split("\n\n", 1)[1]


if __name__ == "__main__":
    main()
