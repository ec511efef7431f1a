"""One mask a frame out of several: by the network's own score, the prompt's points, and the frames around.

Masks are compared as rasters on a grid that moves with the subject's box (`views.raster`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.segmentation.prompts import Prompt
from models.segmentation.views import View, moved, raster

Array = NDArray[np.float64]
Map = NDArray[np.float32]
Rasters = NDArray[np.bool_]

PROMPT = 1.0  # cost of a mask that gets every point wrong; its network's score is worth 1, too
AGREEMENT = 1.0  # cost of two frames' masks that have nothing in common
ODD = 0.1  # IoU by which its neighbours may agree better with each other than with a frame


@dataclass(frozen=True, eq=False)
class Candidates:
    """Masks for one prompt to choose from.

    Attributes:
        logits: (K, n, n) float32, positive inside each mask, on the cells of the prompt's view.
        scores: (K,) the IoU with the truth that the network expects.
    """

    logits: Map
    scores: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Query:
    """One frame in which the subject is seen: what was asked, of which part of the picture."""

    prompt: Prompt
    view: View


@dataclass(frozen=True, eq=False)
class Settled:
    """The masks of a clip, by frame.

    Attributes:
        taken: which candidate.
        replaced: (n, n) maps, positive inside, that take the candidates' place.
        interpolated: the frames among these whose mask comes from the neighbours alone.
    """

    taken: dict[int, int]
    replaced: dict[int, Map]
    interpolated: list[int]


@dataclass(frozen=True, eq=False)
class Offer:
    """A frame's K alternatives: (K,) costs, each for itself, and (K, g, g) rasters."""

    costs: Array
    rasters: Rasters


def settle(
    queries: Mapping[int, Query],
    candidates: Callable[[int], Candidates],
    redraw: Callable[[int, Map], Candidates],
) -> Settled:
    """Chooses every frame's mask, and mends single frames that fit neither neighbour.

    Such a frame is drawn again with the neighbours' masks, moved as the boxes move, as a hint; if that does
    not fit either, it becomes the mask half-way between them.

    Args:
        queries: by frame, where the subject is seen.
        candidates: gives a frame's.
        redraw: gives a frame's with the help of (n, n) logits of about what is meant.
    """
    offers = {index: _offer(query, candidates(index)) for index, query in queries.items()}
    taken = best_masks(offers)
    masks = {index: offer.rasters[taken[index]] for index, offer in offers.items()}
    settled = Settled(taken, {}, [])
    for index in odd_frames(masks):
        view, box = queries[index].view, queries[index].prompt.box
        sides = (index - 1, index + 1)
        before, after = (
            moved(candidates(i).logits[taken[i]], queries[i].view, queries[i].prompt.box, view, box)
            for i in sides
        )
        again = redraw(index, (before + after) / np.float32(2))
        drawn = again.logits[int(again.scores.argmax())]
        if is_odd(masks[sides[0]], raster(drawn, view, box), masks[sides[1]]):
            drawn = between(before, after)
            settled.interpolated.append(index)
        settled.replaced[index] = drawn
    return settled


def _offer(query: Query, found: Candidates) -> Offer:
    cells = query.view.to_network(query.prompt.points) * query.view.cells / query.view.side
    wrong = [wrong_points(logits, cells, query.prompt.on_subject) for logits in found.logits]
    return Offer(
        costs=1 - np.clip(found.scores, 0, 1) + PROMPT * np.array(wrong),
        rasters=np.stack([raster(logits, query.view, query.prompt.box) for logits in found.logits]),
    )


def iou(one: Rasters, other: Rasters) -> float:
    """Intersection over union; 1 for two empty ones."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def wrong_points(logits: Map, cells: Array, on_subject: NDArray[np.bool_]) -> float:
    """The share of a prompt's points on whose side a map is not; 0 without points.

    Args:
        logits: (n, n), positive inside the mask.
        cells: (N, 2) the points x y in cells, centres at +0.5.
        on_subject: (N,) bool.
    """
    if not len(cells):
        return 0.0
    columns, rows = np.clip(np.floor(cells), 0, np.array(logits.shape[::-1]) - 1).astype(int).T
    return float(np.mean((logits[rows, columns] > 0) != on_subject))


def best_masks(offers: Mapping[int, Offer]) -> dict[int, int]:
    """The alternative to take in every frame, by the least sum of costs over the clip (A. Viterbi 1967).

    Args:
        offers: by frame, in order; over frames that are missing nothing is compared.
    """
    total, last, origins = np.zeros(1), -1, []
    for index, offer in offers.items():
        steps = total[:, None] + np.zeros(len(offer.costs))
        if last >= 0 and last == index - 1:
            steps = steps + AGREEMENT * _differences(offers[last].rasters, offer.rasters)
        origins.append(steps.argmin(0))
        total, last = steps.min(0) + offer.costs, index
    path = [int(total.argmin())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return dict(zip(offers, path[-2::-1], strict=True))


def _differences(before: Rasters, here: Rasters) -> Array:
    """(K, L) 1 - IoU of each with each."""
    return np.array([[1 - iou(one, other) for other in here] for one in before])


def odd_frames(masks: Mapping[int, Rasters]) -> list[int]:
    """Frames whose two neighbours agree clearly better with each other than with them.

    Of a body that moves the frame between is the one nearer to both, however fast it moves.

    Args:
        masks: (g, g) by frame, the chosen ones.
    """
    return [
        index
        for index, mask in masks.items()
        if index - 1 in masks and index + 1 in masks and is_odd(masks[index - 1], mask, masks[index + 1])
    ]


def is_odd(before: Rasters, here: Rasters, after: Rasters) -> bool:
    """Whether the neighbours of a mask agree clearly better with each other than with it."""
    return iou(before, after) > max(iou(before, here), iou(here, after)) + ODD


def between(one: Map, other: Map) -> Map:
    """The mask half-way between two: the mean of the signed distances to their edges (Raya and Udupa 1990,
    shape-based interpolation).

    Args:
        one, other: (n, n), positive inside.
    """
    return (_signed_distance(one > 0) + _signed_distance(other > 0)) / np.float32(2)


def _signed_distance(mask: NDArray[np.bool_]) -> Map:
    """To the mask's edge in cells, positive inside."""
    inside = mask.astype(np.uint8)
    return _distance(inside) - _distance(1 - inside)


def _distance(inside: NDArray[np.uint8]) -> Map:
    if inside.all():  # no edge to be near to
        return np.full(inside.shape, max(inside.shape), np.float32)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.maximum(np.asarray(distance, np.float32) - np.float32(0.5), 0)
