"""Measure the silhouettes: python benchmarks/masks.py [--write], from the repository root.

Needs the benchmark sequences (HSPLAT_SHARED, or ../shared). BlazePose runs on the whole pictures, plain and
mirrored; every way starts from the mean of both probabilities. IoU = sum of min over sum of max of the
coverages; boundary = mean distance in pixels between the outlines at 0.5, both ways; both averaged over the
frames. The times are of one thread and of the refinement alone, with all that it learns from the clip.
The constants were chosen on these sequences, so the figures are somewhat optimistic; they hardly change when
any constant is halved or doubled.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import mediapipe
import numpy as np
from numpy.typing import NDArray

from models.segmentation import Scene, learn_scene, refine_silhouette
from stages.masks import SAMPLES

Image = NDArray[np.uint8]
Map = NDArray[np.float32]
Way = Callable[[list[Image], list[Map]], list[Map]]

SEQUENCES = ("seq01_walk_circle", "seq02_apose_turn", "seq05_kata")


def pictures(video: Path) -> list[Image]:
    capture, images = cv2.VideoCapture(str(video)), []
    while (read := capture.read())[0]:
        images.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    return images


def probabilities(images: list[Image]) -> list[Map]:
    """The mean of a plain and a mirrored pass, as 8 bits keep it."""
    total = np.zeros((len(images), *images[0].shape[:2]), dtype=np.float32)
    for step in (1, -1):
        options = {"enable_segmentation": True, "smooth_segmentation": False, "smooth_landmarks": False}
        with mediapipe.solutions.pose.Pose(**options) as pose:
            for index, image in enumerate(images):
                mask = pose.process(np.ascontiguousarray(image[:, ::step])).segmentation_mask
                if mask is not None:
                    total[index] += mask[:, ::step] / 2
    return list(np.round(255 * total) / np.float32(255))


def thresholded(images: list[Image], probability: list[Map]) -> list[Map]:
    return [(p > 0.5).astype(np.float32) for p in probability]


def grabcut(images: list[Image], probability: list[Map]) -> list[Map]:
    """GrabCut in a narrow band around the outline, for comparison."""
    return [narrow_grabcut(image, p) for image, p in zip(images, probability, strict=True)]


def narrow_grabcut(image: Image, probability: Map) -> Map:
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


def edges(images: list[Image], probability: list[Map]) -> list[Map]:
    return [refine_silhouette(image, p) for image, p in zip(images, probability, strict=True)]


def edges_and_colours(images: list[Image], probability: list[Map]) -> list[Map]:
    """As on a moving camera."""
    scene = Scene(learned(images, probability).colours, None)
    return [refine_silhouette(image, p, scene) for image, p in zip(images, probability, strict=True)]


def everything(images: list[Image], probability: list[Map]) -> list[Map]:
    scene = learned(images, probability)
    return [refine_silhouette(image, p, scene) for image, p in zip(images, probability, strict=True)]


def learned(images: list[Image], probability: list[Map]) -> Scene:
    chosen = np.unique(np.linspace(0, len(images) - 1, SAMPLES).round().astype(int))
    return learn_scene([images[i] for i in chosen], [probability[i] for i in chosen])


WAYS: dict[str, Way] = {
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
        images = pictures(shared / "bench" / sequence / "video.mp4")
        with np.load(shared / "bench" / sequence / "masks.npz", allow_pickle=False) as file:
            truths = list(file[file.files[0]].astype(np.float32) / 255)
        probability = probabilities(images)
        for name, way in WAYS.items():
            began = time.perf_counter()
            masks = way(images, probability)
            seconds[name].append((time.perf_counter() - began) / len(images))
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write benchmarks/masks.md")
    cv2.setNumThreads(1)
    root = Path(__file__).parent.parent
    text = table(Path(os.environ.get("HSPLAT_SHARED", root.parent / "shared")))
    print(text)
    if parser.parse_args().write:
        page = f"# Silhouettes\n\n`python benchmarks/masks.py --write`\n\n{explanation()}\n{text}"
        (root / "benchmarks" / "masks.md").write_text(page)


def explanation() -> str:
    return (__doc__ or "").split("\n\n", 1)[1]


if __name__ == "__main__":
    main()
