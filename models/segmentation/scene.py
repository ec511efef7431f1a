"""What a whole clip tells: the person's colours, and the background where the camera stands still.

Both give, for a pixel, the evidence (a log-likelihood ratio, positive for the person) that
`silhouette.refine_silhouette` adds to the network's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Image = NDArray[np.uint8]
Map = NDArray[np.float32]
Region = tuple[slice, slice]

# Colours
LEVELS = 16  # of a channel
SURE, SURELY_NOT = 0.95, 0.05
NEIGHBOURHOOD = 0.25  # of the person's height: as far the background's colours are learned

# Background
MARGIN = 0.03  # of the person's height: kept from the background, since the network's edges are blurred
SEEN_IN = 3  # pictures in which a pixel must be free to be known
STILL_LEVELS, STILL_SHARE = 12, 0.9
STEADY_LEVELS = 10  # a pixel that varies more (leaves, water) tells nothing
DIFFERENT, DIFFERENT_SHADE = 22.0, 10.0  # levels from which a pixel speaks for the person
SLOPE = 5.0  # levels per unit of evidence
DARKEST_SHADOW = 0.4
LOWEST, HIGHEST, SHADOW = -4.0, 2.0, -0.5


@dataclass(frozen=True)
class Background:
    """The scene without the person, in 8-bit levels.

    Attributes:
        colour: (H, W, 3) median.
        spread: (H, W) median deviation from it.
        known: (H, W) bool, seen often enough and steady.
    """

    colour: Map
    spread: Map
    known: NDArray[np.bool_]

    def evidence(self, image: Image, region: Region) -> Map:
        """Evidence for the person from the difference to the background; a shadow counts as neither.

        Args:
            image: (H, W, 3) RGB.
            region: the part wanted.
        """
        pixels, colour = image[region].astype(np.float32), self.colour[region]
        noise = 3 * self.spread[region]
        differs = (_distance(pixels, colour) - DIFFERENT - noise) / SLOPE
        # A shadow darkens all channels alike (Horprasert et al. 1999): what is left once that is undone
        brightness = (pixels * colour).sum(-1) / np.maximum((colour * colour).sum(-1), 1)
        shade = colour * np.clip(brightness, DARKEST_SHADOW, 1)[..., None]
        beyond_shadow = (_distance(pixels, shade) - DIFFERENT_SHADE - noise) / SLOPE
        evidence = np.where(differs > 0, np.maximum(np.minimum(differs, beyond_shadow), SHADOW), differs)
        return np.where(self.known[region], np.clip(evidence, LOWEST, HIGHEST), 0).astype(np.float32)


@dataclass(frozen=True)
class Scene:
    """What `learn_scene` found: (LEVELS^3,) evidence of each colour, and the background of a still camera."""

    colours: Map
    background: Background | None

    def colour_evidence(self, image: Image, region: Region) -> Map:
        """Evidence for the person from a pixel's colour alone."""
        return self.colours[_colour_index(image[region])]


def learn_scene(images: Sequence[Image], probabilities: Sequence[Map]) -> Scene:
    """Learn colours and background from pictures spread over the clip (two dozen are enough).

    Args:
        images: (H, W, 3) RGB uint8 each.
        probabilities: (H, W) in [0, 1] each: the person's, from a network.
    """
    height = float(np.median([_height(probability) for probability in probabilities]))
    return Scene(
        colours=_learn_colours(images, probabilities, height),
        background=_learn_background(images, probabilities, height),
    )


def _height(probability: Map) -> int:
    return (
        max(1, int(np.ptp(rows)) + 1) if len(rows := np.flatnonzero((probability > 0.5).any(axis=1))) else 1
    )


def _grown(probability: Map, margin: float) -> NDArray[np.bool_]:
    away = cv2.distanceTransform((probability <= 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(away <= margin, dtype=np.bool_)


def _distance(first: Map, second: Map) -> Map:
    """Largest channel's difference, with the noise of single pixels smoothed away."""
    return cv2.GaussianBlur(np.abs(first - second).max(axis=-1), (0, 0), 1.0)


def _colour_index(image: Image) -> NDArray[np.int32]:
    level = (image // (256 // LEVELS)).astype(np.int32)
    return (level[..., 0] * LEVELS + level[..., 1]) * LEVELS + level[..., 2]


def _learn_colours(images: Sequence[Image], probabilities: Sequence[Map], height: float) -> Map:
    person, others = np.zeros(LEVELS**3), np.zeros(LEVELS**3)
    for image, probability in zip(images, probabilities, strict=True):
        colour = _colour_index(image)
        near = _grown(probability, NEIGHBOURHOOD * height) & (probability < SURELY_NOT)
        person += np.bincount(colour[probability > SURE], minlength=LEVELS**3)
        others += np.bincount(colour[near], minlength=LEVELS**3)
    return np.log(_density(person) / _density(others)).astype(np.float32)


def _density(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    smooth = gaussian_filter(counts.reshape(LEVELS, LEVELS, LEVELS), 0.7).ravel()
    return smooth / max(smooth.sum(), 1.0) + 1e-5


def _learn_background(
    images: Sequence[Image], probabilities: Sequence[Map], height: float
) -> Background | None:
    """The background, or None where the camera moves."""
    covered = np.stack([_grown(probability, MARGIN * height) for probability in probabilities])
    free = len(images) - covered.sum(axis=0)
    colour = _median_of_free(np.stack(images), covered, free)
    deviation = np.stack(
        [np.abs(image.astype(np.int16) - colour).max(axis=-1).astype(np.uint8) for image in images]
    )
    seen = free >= SEEN_IN
    outside = ~covered & seen
    if not outside.any() or (deviation[outside] < STILL_LEVELS).mean() < STILL_SHARE:
        return None
    spread = _median_of_free(deviation[..., None], covered, free)[..., 0]
    return Background(colour.astype(np.float32), spread.astype(np.float32), seen & (spread <= STEADY_LEVELS))


def _median_of_free(
    values: NDArray[np.uint8], covered: NDArray[np.bool_], free: NDArray[np.int64]
) -> NDArray[np.int16]:
    """(H, W, C) median of `values` (N, H, W, C) over the pictures in which the pixel is not covered."""
    ordered = np.where(covered[..., None], 255, values)
    ordered.sort(axis=0)  # the covered ones now lie behind the `free` others
    middle = np.maximum(free - 1, 0) // 2
    return np.take_along_axis(ordered, middle[None, ..., None], axis=0)[0].astype(np.int16)
