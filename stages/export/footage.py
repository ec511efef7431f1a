"""The pictures of the exported videos, one at a time: overlay, avatar beside its source, turntable."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models import drawing
from models.avatar import Avatar
from models.avatar.completion import HARDLY
from models.avatar.showing import UP, a_pose, front_camera
from models.body import Motion
from models.body.posture import up_axis
from models.cameras import orbit, scale_intrinsics
from models.drawing import Color, Image
from models.metrics import tight_crop
from stages.export.clip import Array, Clip, evenly, render_avatar

BEFORE: Color = (255, 150, 40)
AFTER: Color = (60, 220, 235)
PLAIN: Color = (240, 240, 240)

_MARGIN = 0.08  # of the person's height, around them
_WINDOW_FRAMES = 40
_LARGEST_ZOOM = 2.0  # of the working picture, beyond which the source is only blur
_FADED = 0.75  # of the source's brightness, behind the avatar
_PIXELS_PER_STROKE = 240  # of the picture's shorter side, per pixel of an outline's thickness

_GUESSED, _RARELY, _OFTEN = ([0.95, 0.55, 0.15], [0.75, 0.88, 0.97], [0.03, 0.25, 0.50])  # RGB


@dataclass(frozen=True)
class Window:
    """A part of the working picture, enlarged or reduced to `height` lines; width and height are even."""

    left: int
    top: int
    columns: int
    rows: int
    width: int
    height: int

    def of(self, image: Image) -> Image:
        """The part of a working picture, as an image of its own."""
        part = image[self.top : self.top + self.rows, self.left : self.left + self.columns]
        way = cv2.INTER_AREA if self.height < self.rows else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(part, (self.width, self.height), interpolation=way), np.uint8)

    def intrinsics(self, K: Array) -> NDArray[np.float64]:
        """Intrinsics of the part from those of the whole."""
        shifted = np.array(K, np.float64)
        shifted[:2, 2] -= self.left, self.top
        return scale_intrinsics(shifted, self.width / self.columns, self.height / self.rows)


def overlay(clip: Clip, indices: Iterable[int], height: int) -> Iterator[Image]:
    """The source with the body's outline, before and after."""
    window = whole_picture(clip, height)
    for index in indices:
        yield outlined(clip, index, window)


def outlined(clip: Clip, index: int, window: Window) -> Image:
    """The source with the body's outline, before and after."""
    image = clip.frames.image(index)
    if not clip.refined.valid[index]:
        image = window.of(image)
        drawing.label(image, [("person not seen", PLAIN)])
        return image
    _draw_body(image, clip, clip.initial, index, BEFORE)
    _draw_body(image, clip, clip.refined, index, AFTER, fill=0.12)
    image = window.of(image)
    drawing.label(image, [("before", BEFORE), ("after", AFTER)])
    return image


def initially_outlined(clip: Clip, index: int) -> Image:
    """A whole working picture with the body as it was before anything trained."""
    image = clip.frames.image(index)
    _draw_body(image, clip, clip.initial, index, BEFORE, fill=0.12)
    return image


def outlines(clip: Clip, index: int, window: Window) -> tuple[Image, Image]:
    """The source with the body's outline, once before and once after."""
    pictures = []
    for motion, color in ((clip.initial, BEFORE), (clip.refined, AFTER)):
        image = clip.frames.image(index)
        _draw_body(image, clip, motion, index, color, fill=0.12)
        pictures.append(window.of(image))
    return pictures[0], pictures[1]


def avatars(clip: Clip, index: int, window: Window) -> tuple[Image, Image]:
    """The avatar over the source, whose colours are taken back, in the pose before and in that after."""
    source = window.of(clip.frames.image(index)) / 255
    backdrop = _FADED * source.mean(axis=2, keepdims=True) + (1 - _FADED) * np.ones(3)
    intrinsics = (window.intrinsics(clip.intrinsics(motion)) for motion in (clip.initial, clip.refined))
    before, after = (
        over(*clip.render(index, K, window.width, window.height, motion=motion), backdrop)
        for K, motion in zip(intrinsics, (clip.initial, clip.refined), strict=True)
    )
    return before, after


def _draw_body(image: Image, clip: Clip, motion: Motion, index: int, color: Color, fill: float = 0.0) -> None:
    thickness = max(1, round(min(image.shape[:2]) / _PIXELS_PER_STROKE))
    drawing.outline(image, clip.body_region(motion, index), color, thickness, fill)


def comparison(clip: Clip, indices: Iterable[int], height: int) -> Iterator[Image]:
    """The source, the avatar seen by the same camera, and the avatar from the side, in a row."""
    window = subject_window(clip, height)
    K, up = window.intrinsics(clip.K), up_axis(clip.refined)
    backdrop = plain_backdrop(window.width, window.height)
    for index in indices:
        empty = over(np.zeros_like(backdrop), np.zeros(backdrop.shape[:2]), backdrop)
        panels = [window.of(clip.frames.image(index)), empty, empty.copy()]
        if clip.refined.valid[index]:
            aside = orbit(clip.pelvis(index), up, np.pi / 2)
            panels[1] = over(*clip.render(index, K, window.width, window.height), backdrop)
            panels[2] = over(*clip.render(index, K, window.width, window.height, aside), backdrop)
        for panel, name in zip(panels, ("video", "avatar", "from the side"), strict=True):
            drawing.label(panel, [(name, PLAIN)])
        yield drawing.beside(panels)


class Turntable:
    """The avatar in an A-pose, upright, seen from any side; three by four, whatever the source's shape."""

    def __init__(self, avatar: Avatar, height: int) -> None:
        self.avatar = avatar
        self.height = even(height)
        self.width = even(self.height * 3 // 4)
        self.poses = a_pose()
        self.camera = front_camera(avatar, self.width, self.height)
        self.backdrop = plain_backdrop(self.width, self.height)

    def view(self, angle: float) -> Image:
        """The avatar from one side: 0 the front, then, in radians, its left, its back, its right."""
        camera = self.camera.orbited(self.avatar.rest_joints[0], UP, angle)
        picture = render_avatar(self.avatar, self.poses, np.zeros(3), camera)
        return over(*picture, self.backdrop)

    def turn(self, count: int) -> Iterator[Image]:
        """`count` pictures of one full turn, the front first."""
        return (self.view(2 * np.pi * step / count) for step in range(count))


def by_coverage(avatar: Avatar) -> Avatar:
    """The avatar in colours that tell how often each part was seen: orange in at most a tenth of the frames,
    else from pale blue to dark blue in all of them."""
    guessed, rarely, often = torch.tensor([_GUESSED, _RARELY, _OFTEN])
    share = avatar.coverage[:, None]
    seen = torch.lerp(rarely, often, ((share - HARDLY) / (1 - HARDLY)).clamp(0, 1))
    return replace(avatar, colors=torch.where(share <= HARDLY, guessed, seen))


def subject_window(clip: Clip, height: int) -> Window:
    """The part of the picture that holds the person throughout, enlarged moderately up to `height` lines."""
    covered = np.zeros((clip.frames.height, clip.frames.width), np.uint8)
    tallest = 0
    for index in evenly(clip.seen, _WINDOW_FRAMES):
        mask = clip.mask(index)
        np.maximum(covered, mask, out=covered)
        tallest = max(tallest, int((mask > 127).any(axis=1).sum()))
    if not tallest:
        return whole_picture(clip, height)
    rows, columns = tight_crop(covered / 255, margin=round(_MARGIN * tallest))
    top, left = rows.start, columns.start
    bottom, right = min(rows.stop, clip.frames.height), min(columns.stop, clip.frames.width)
    shown = even(min(height, int(_LARGEST_ZOOM * (bottom - top))))
    width = even(round((right - left) * shown / (bottom - top)))
    return Window(left, top, right - left, bottom - top, width, shown)


def whole_picture(clip: Clip, height: int) -> Window:
    """All of the working picture, reduced to `height` lines where it has more."""
    columns, rows = clip.frames.width, clip.frames.height
    shown = even(min(height, rows))
    return Window(0, 0, columns, rows, even(round(columns * shown / rows)), shown)


def plain_backdrop(width: int, height: int) -> Array:
    """(H, W, 3) in [0, 1], a quiet gradient."""
    shade = np.linspace(0.95, 0.80, height, dtype=np.float32)
    return np.broadcast_to(shade[:, None, None], (height, width, 3))


def over(color: Array, alpha: Array, backdrop: Array) -> Image:
    """A premultiplied rendering over a backdrop, as uint8."""
    blended = color + (1 - alpha[..., None]) * backdrop
    return np.asarray(cv2.convertScaleAbs(np.asarray(blended, np.float32), alpha=255), np.uint8)


def even(length: int) -> int:
    """The nearest even number from 2 up that is not above `length`."""
    return max(length - length % 2, 2)
