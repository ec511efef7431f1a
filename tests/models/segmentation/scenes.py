"""A made-up clip: somebody walks past a pattern; the network sees them blurred."""

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 160, 240
Clip = tuple[list[NDArray[np.uint8]], list[NDArray[np.float32]], list[NDArray[np.bool_]]]


def person(x: int) -> NDArray[np.bool_]:
    """Head, body, two legs and a thin outstretched arm."""
    canvas = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    cv2.circle(canvas, (x, 35), 10, 1, -1)
    cv2.rectangle(canvas, (x - 14, 45), (x + 14, 95), 1, -1)
    cv2.rectangle(canvas, (x - 14, 95), (x - 4, 140), 1, -1)
    cv2.rectangle(canvas, (x + 4, 95), (x + 14, 140), 1, -1)
    cv2.rectangle(canvas, (x + 14, 52), (x + 40, 57), 1, -1)
    return canvas > 0


def clip(count: int = 12, shift: int = 0, shadow: bool = False) -> Clip:
    """Pictures, the network's probabilities and the truth; the scene moves `shift` pixels a frame."""
    random = np.random.default_rng(0)
    pattern = cv2.resize(random.integers(90, 200, (20, 90, 3), dtype=np.uint8), None, fx=8, fy=8)
    images, probabilities, truths = [], [], []
    for index in range(count):
        truth = person(50 + 12 * index)
        image = pattern[:, shift * index : shift * index + WIDTH].copy()
        if shadow:
            image[140:152, 20 + 12 * index : 90 + 12 * index] = (
                0.6 * image[140:152, 20 + 12 * index : 90 + 12 * index]
            )
        image[truth] = [30, 40, 160]
        noisy = image + random.normal(0, 2, image.shape)
        images.append(np.clip(noisy, 0, 255).astype(np.uint8))
        seen = cv2.dilate(truth.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
        probabilities.append(cv2.GaussianBlur(seen, (0, 0), 3))
        truths.append(truth)
    return images, probabilities, truths


def iou(mask: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    return float(np.minimum(mask, truth).sum() / np.maximum(mask, truth).sum())
