"""One mask a frame out of several: by the network's own score, the prompt's points, and the frames around.

Masks are compared as rasters on a grid that moves with the subject's box (`views.raster`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.segmentation.prompts import Prompt
from models.segmentation.views import View, moved, raster

Array = NDArray[np.float64]
Map = NDArray[np.float32]
Rasters = NDArray[np.bool_]


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
    """The masks of a clip.

    Attributes:
        taken: (T,) which candidate of each frame.
        replaced: (n, n) maps, positive inside, by frame, that take the candidates' place.
        interpolated: the frames among these whose mask comes from the neighbours alone.
    """

    taken: NDArray[np.int64]
    replaced: dict[int, Map]
    interpolated: list[int]


PROMPT = 1.0  # cost of a mask that gets every point wrong; its network's score is worth 1, too
AGREEMENT = 1.0  # cost of two frames' masks that have nothing in common
ODD = 0.1  # IoU by which its neighbours may agree better with each other than with a frame


def settle(
    queries: Sequence[Query | None],
    candidates: Callable[[int], Candidates],
    redraw: Callable[[int, Map], Candidates],
) -> Settled:
    """Chooses every frame's mask, and mends single frames that fit neither neighbour.

    Such a frame is drawn again with the neighbours' masks, moved as the boxes move, as a hint; if that does
    not fit either, it becomes the mask half-way between them.

    Args:
        queries: T of them; None where the subject is not seen.
        candidates: gives a frame's, K in each.
        redraw: gives a frame's with the help of (n, n) logits of about what is meant.
    """
    offers = [_offer(query, candidates(index)) if query else None for index, query in enumerate(queries)]
    taken = best_masks(offers)
    masks = [offer.rasters[k] if offer else None for offer, k in zip(offers, taken, strict=True)]
    settled = Settled(taken, {}, [])
    for index in odd_frames(masks):
        before, here, after = queries[index - 1], queries[index], queries[index + 1]
        assert before and here and after
        neighbours = [
            moved(candidates(i).logits[taken[i]], query.view, query.prompt.box, here.view, here.prompt.box)
            for i, query in ((index - 1, before), (index + 1, after))
        ]
        again = redraw(index, (neighbours[0] + neighbours[1]) / 2)
        drawn = again.logits[int(again.scores.argmax())]
        if is_odd(masks[index - 1], raster(drawn, here.view, here.prompt.box), masks[index + 1]):
            drawn = between(*neighbours)
            settled.interpolated.append(index)
        settled.replaced[index] = drawn
    return settled


@dataclass(frozen=True, eq=False)
class Offer:
    """A frame's K alternatives: (K,) costs, each for itself, and (K, g, g) rasters."""

    costs: Array
    rasters: Rasters


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


def best_masks(offers: Sequence[Offer | None]) -> NDArray[np.int64]:
    """The alternative to take in every frame, by the least sum of costs over the clip (A. Viterbi 1967).

    Args:
        offers: T of them; None where the subject is not seen, across which nothing is compared.

    Returns:
        (T,); 0 where the subject is not seen.
    """
    total, last, origins = np.zeros(1), None, []
    for offer in offers:
        costs = offer.costs if offer else np.zeros(1)
        steps = total[:, None] + _changes(last, offer, len(total), len(costs))
        origins.append(steps.argmin(0))
        total, last = steps.min(0) + costs, offer
    path = [int(total.argmin())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return np.array(path[-2::-1], np.int64)


def _changes(before: Offer | None, here: Offer | None, rows: int, columns: int) -> Array:
    """(rows, columns) costs of going from each alternative to each."""
    if before is None or here is None:
        return np.zeros((rows, columns))
    return AGREEMENT * np.array([[1 - iou(one, other) for other in here.rasters] for one in before.rasters])


def odd_frames(masks: Sequence[Rasters | None]) -> list[int]:
    """Frames whose two neighbours agree clearly better with each other than with them.

    Of a body that moves the frame between is the one nearer to both, however fast it moves.

    Args:
        masks: T of (g, g), the chosen ones; None where the subject is not seen.
    """
    return [
        index + 1
        for index, (before, here, after) in enumerate(zip(masks, masks[1:], masks[2:], strict=False))
        if before is not None and here is not None and after is not None and is_odd(before, here, after)
    ]


def is_odd(before: Rasters, here: Rasters, after: Rasters) -> bool:
    """Whether the neighbours of a mask agree clearly better with each other than with it."""
    return iou(before, after) > max(iou(before, here), iou(here, after)) + ODD


def between(one: Map, other: Map) -> Map:
    """The mask half-way between two, as a map positive inside (S. Raya, J. Udupa 1990: shape-based interpolation).

    Args:
        one, other: (n, n), positive inside.
    """
    return (_signed_distance(one > 0) + _signed_distance(other > 0)) / 2


def _signed_distance(mask: NDArray[np.bool_]) -> Map:
    """To the mask's edge in cells, positive inside."""
    inside = mask.astype(np.uint8)
    return _distance(inside) - _distance(1 - inside)


def _distance(inside: NDArray[np.uint8]) -> Map:
    if inside.all():  # no edge to be near to
        return np.full(inside.shape, max(inside.shape), np.float32)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.maximum(distance - np.float32(0.5), 0)
