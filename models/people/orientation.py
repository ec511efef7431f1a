"""Which way up somebody is who was only found as a box: what BlazePose's crops need."""

from collections.abc import Iterable

from models.people.blazepose import BlazePose, Image
from models.people.tracking import Circle, Detection, Track


def oriented(images: Iterable[Image], length: int, fps: float, track: Track) -> Track:
    """The same person in the circles that BlazePose's detector sees around them.

    Args:
        images: the clip's frames, (H, W, 3) uint8 RGB.
        length: how many they are.
        fps: of the frames.
        track: whom to look at; short gaps in it are filled.
    """
    seen = Track()
    up = None  # unit length, as last seen
    with BlazePose() as engine:
        for frame, (image, circle) in enumerate(zip(images, track.circles(length, fps), strict=True)):
            if circle is None:
                continue
            found = engine.detect_in(image, circle)
            if found is None and up is not None:
                found = Detection(Circle(circle.hips, up * circle.radius), 0.0)
            if found is not None:
                up = found.circle.up / found.circle.radius
            seen.add(frame, found or Detection(circle, 0.0))
    return seen
