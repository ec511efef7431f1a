"""A network's soft, blurred person mask brought to the edges of the picture.

The evidence of every pixel (logit of the network's probability, the scene's colours and background) is
smoothed along the picture but not across its edges: Grady's random walker (2006) with evidence everywhere.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.segmentation.scene import Scene

Map = NDArray[np.float32]
Region = tuple[slice, slice]

PADDING = 0.12  # of the person's height around what the network found
BOX_MARGIN = 0.15  # of the box's longer side around it, since it may cut hands
MAX_LOGIT = 4.0  # more than the background can outweigh: clothes may have its colours
BACKGROUND_WEIGHT = 0.8
COLOUR_WEIGHT, MAX_COLOUR = 0.4, 2.0
UNSURE_LOGIT = 3.0  # colours count less where the network is surer than this
EDGE_WEIGHT = 4.0
REACH = 0.025  # of the person's height: as far evidence travels
SHARPNESS = 5.0  # of the final edge, a pixel or two wide as the lens makes it
SMALLEST_PART, LARGEST_GAP = 0.1, 0.02  # of the largest part; of the person's height


def refine_silhouette(
    image: NDArray[np.uint8],
    probability: Map,
    scene: Scene | None = None,
    box: NDArray[np.float64] | None = None,
) -> Map:
    """The person's coverage of every pixel.

    Args:
        image: (H, W, 3) RGB.
        probability: (H, W) in [0, 1], the person's, from a network.
        scene: what the whole clip tells, from `learn_scene`.
        box: x0, y0, x1, y1 in pixels around the person; what lies further out than a margin is somebody else.

    Returns:
        (H, W) in [0, 1]; all zero where the network sees nobody.
    """
    coverage = np.zeros(probability.shape, dtype=np.float32)
    found = _bounds(probability > 0.5)
    if found is None:
        return coverage
    height = found[3] - found[1]
    region = _region(found, box, round(PADDING * height), probability.shape)
    if 0 in probability[region].shape:
        return coverage
    evidence = _evidence(image, probability, scene, region)
    smooth = _smooth_within_edges(image[region], evidence, max(3, round(REACH * height)))
    part = 1 / (1 + np.exp(-SHARPNESS * smooth))
    coverage[region] = part * _main_parts(part > 0.2, round(LARGEST_GAP * height))
    return coverage


def _bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 of what is true, the latter two exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _region(
    found: tuple[int, int, int, int], box: NDArray[np.float64] | None, padding: int, shape: tuple[int, ...]
) -> Region:
    x0, y0, x1, y1 = found[0] - padding, found[1] - padding, found[2] + padding, found[3] + padding
    if box is not None:
        margin = BOX_MARGIN * max(box[2] - box[0], box[3] - box[1])
        x0, y0 = max(x0, round(box[0] - margin)), max(y0, round(box[1] - margin))
        x1, y1 = min(x1, round(box[2] + margin)), min(y1, round(box[3] + margin))
    return slice(max(y0, 0), max(min(y1, shape[0]), 0)), slice(max(x0, 0), max(min(x1, shape[1]), 0))


def _evidence(image: NDArray[np.uint8], probability: Map, scene: Scene | None, region: Region) -> Map:
    limit = 1 / (1 + np.exp(-MAX_LOGIT))
    sure = np.clip(probability[region], 1 - limit, limit)
    logit = np.log(sure / (1 - sure)).astype(np.float32)
    evidence = logit
    if scene is not None:
        unsure = np.exp(-np.abs(logit) / UNSURE_LOGIT)
        colour = np.clip(scene.colour_evidence(image, region), -MAX_COLOUR, MAX_COLOUR)
        evidence = evidence + COLOUR_WEIGHT * unsure * colour
        if scene.background is not None:
            evidence = evidence + BACKGROUND_WEIGHT * scene.background.evidence(image, region)
    return evidence


def _smooth_within_edges(image: NDArray[np.uint8], evidence: Map, steps: int) -> Map:
    """Jacobi steps towards argmin_x sum (x - evidence)^2 + sum over neighbours w (x_i - x_j)^2.

    w = EDGE_WEIGHT exp(-|dI|^2 / (2 mean |dI|^2)), as in GrabCut.
    """
    pixels = image.astype(np.float32)
    across = np.square(np.diff(pixels, axis=1)).sum(axis=-1)
    down = np.square(np.diff(pixels, axis=0)).sum(axis=-1)
    scale = -1 / (2 * (across.mean() + down.mean()) / 2 + 1e-6)
    across, down = EDGE_WEIGHT * np.exp(scale * across), EDGE_WEIGHT * np.exp(scale * down)
    total = _add_neighbours(np.ones_like(evidence), np.ones_like(evidence), across, down)
    smooth = evidence
    for _ in range(steps):
        smooth = _add_neighbours(evidence.copy(), smooth, across, down) / total
    return smooth


def _add_neighbours(target: Map, values: Map, across: Map, down: Map) -> Map:
    target[:, 1:] += across * values[:, :-1]
    target[:, :-1] += across * values[:, 1:]
    target[1:] += down * values[:-1]
    target[:-1] += down * values[1:]
    return target


def _main_parts(mask: NDArray[np.bool_], gap: int) -> NDArray[np.bool_]:
    """Keep the largest part and what is not much smaller; a hand is no part of its own for a narrow gap."""
    kernel = np.ones((2 * (gap // 2) + 1,) * 2, dtype=np.uint8)
    _, label, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(mask.astype(np.uint8), kernel))
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        return mask
    kept = 1 + np.flatnonzero(areas >= SMALLEST_PART * areas.max())
    return mask & np.isin(label, kept)
