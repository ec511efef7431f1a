"""BlazePose: people in a picture, and one person's landmarks and silhouette.

Both networks ship inside mediapipe's wheel; nothing is downloaded. A larger landmark network, "heavy", takes
the place of the wheel's "full" where it is given. mediapipe's ready-made solution follows one person only, so
its two halves are run apart: the detector on the whole picture and on tiles of it, the landmark network on an
upright crop of one person.
V. Bazarevsky et al., "BlazePose: On-device Real-time Body Pose tracking", 2020.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models import weights
from models.errors import InputError
from models.people.tracking import Array, Circle, Detection, Track, Tracker, distinct
from models.weights.cache import measured

Image = NDArray[np.uint8]

CROP = 256  # pixels; what the landmark network sees
CROP_MARGIN = 1.25  # of the circle around the person, as in mediapipe's own graph
LANDMARKS = 33
MIN_RADIUS = 8.0  # pixels; nobody smaller can be told from clutter
TORSO = (11, 12, 23, 24)  # shoulders and hips
# Each landmark's number once the picture is mirrored: 0 is the nose; 1-6 the eyes, 9 and 10 the mouth.
MIRRORED = np.array(
    [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(i + 1 if i % 2 else i - 1 for i in range(11, LANDMARKS))]
)

_DETECTOR_GRAPH = """
num_threads: 1
input_stream: "image"
output_stream: "detections"
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }
"""
_LANDMARK_GRAPH = """
num_threads: 1
input_stream: "image"
input_stream: "roi"
input_side_packet: "model_complexity"
input_side_packet: "enable_segmentation"
output_stream: "landmarks"
output_stream: "circle"
output_stream: "world"
output_stream: "mask"
node {
  calculator: "PoseLandmarkByRoiCpu"
  input_side_packet: "MODEL_COMPLEXITY:model_complexity"
  input_side_packet: "ENABLE_SEGMENTATION:enable_segmentation"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  output_stream: "LANDMARKS:landmarks"
  output_stream: "AUXILIARY_LANDMARKS:circle"
  output_stream: "WORLD_LANDMARKS:world"
  output_stream: "SEGMENTATION_MASK:mask"
}
"""
# The node in PoseLandmarkByRoiCpu that has the network's path for a model_complexity of 1, by default "full".
_LOADER = "poselandmarkbyroicpu__poselandmarkmodelloader__switchcontainer__ConstantSidePacketCalculator_2"


@dataclass(frozen=True)
class Observation:
    """What the landmark network says of one person in one picture.

    Attributes:
        image: (33, 3) x, y in pixels of the picture (pixel centres at +0.5), visibility in [0, 1].
        world: (33, 3) metres around the hips; x right, y down, z forward, axes parallel to the camera's.
        probability: (H, W) float32 in [0, 1], that a pixel shows the person; 0 outside the crop.
        circle: around the person; where to look for them in the next frame.
    """

    image: Array
    world: Array
    probability: NDArray[np.float32]
    circle: Circle


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Silences what C++ writes to the process's standard error, which Python's own redirection cannot."""
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def _published(network: Path) -> str:
    """The absolute path of a heavy landmark network that is what it should be.

    mediapipe does not check what it loads, and a damaged network ends the whole process.

    Raises:
        InputError: it is not the published network, or cannot be read.
    """
    row = weights.TABLE["blazepose_heavy"]
    again = f"{weights.how_to_get(row.key)} --force"
    try:
        sha256 = measured(network).sha256
    except OSError as error:
        raise InputError(f"{network} cannot be read: {error.strerror}.", again) from error
    if sha256 != row.remotes[0].sha256:
        raise InputError(f"{network} is not the published {row.model}, or damaged or cut off.", again)
    return str(network.absolute())


class BlazePose:
    """The two networks, loaded once. Not for several threads at a time.

    Args:
        network: the heavy landmark network; None for the full one of mediapipe's wheel.
        min_score: detections below this are dropped.

    Raises:
        InputError: the network is not the published one.
    """

    def __init__(self, network: Path | None = None, min_score: float = 0.5) -> None:
        path = _published(network) if network else None
        with _quiet_stderr():
            # Importing mediapipe takes a second, and both it and the first pictures write log lines.
            from mediapipe.calculators.core import constant_side_packet_calculator_pb2
            from mediapipe.framework.formats import rect_pb2
            from mediapipe.python.solution_base import SolutionBase
            from mediapipe.python.solutions import pose  # noqa: F401  registers the calculators

            Constant = (
                constant_side_packet_calculator_pb2.ConstantSidePacketCalculatorOptions.ConstantSidePacket
            )
            threshold = "posedetectioncpu__TensorsToDetectionsCalculator.min_score_thresh"
            self._detector = SolutionBase(
                graph_config=_DETECTOR_GRAPH,
                calculator_params={threshold: min_score},
                outputs=["detections"],
            )
            self._landmarker = SolutionBase(
                graph_config=_LANDMARK_GRAPH,
                calculator_params={f"{_LOADER}.packet": [Constant(string_value=path)]} if path else None,
                side_inputs={"model_complexity": 1, "enable_segmentation": True},
                outputs=["landmarks", "circle", "world", "mask"],
            )
            self._whole = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1.0, height=1.0)
            blank = np.zeros((CROP, CROP, 3), np.uint8)
            self._detect_once(blank)
            self._landmarks_of(blank)

    def close(self) -> None:
        """Ends mediapipe's threads."""
        self._detector.close()
        self._landmarker.close()

    def __enter__(self) -> "BlazePose":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def detect(self, image: Image) -> list[Detection]:
        """Everybody in a picture, surest first.

        The detector sees 224 x 224 pixels, so it is also run on half-overlapping square tiles along the
        picture's longer side, which finds people of a fifth of the picture's height.

        Args:
            image: (H, W, 3) uint8 RGB.
        """
        height, width = image.shape[:2]
        side = min(height, width)
        found = self._detect_once(image)
        for left, top in _tile_corners(width, height, side):
            tile = np.ascontiguousarray(image[top : top + side, left : left + side])
            found += _moved(self._detect_once(tile), np.array([left, top]))
        return distinct(found)

    def detect_in(self, image: Image, circle: Circle) -> Detection | None:
        """The person in a circle that may have the wrong direction; None where there seems to be none.

        Args:
            image: (H, W, 3) uint8 RGB.
            circle: around somebody found otherwise.
        """
        reach = CROP_MARGIN * circle.radius
        low = np.maximum(np.floor(circle.hips - reach), 0).astype(int)
        high = np.ceil(circle.hips + reach).astype(int)
        crop = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
        if not crop.size:
            return None
        found = _moved(self._detect_once(crop), low)
        near = [d for d in found if d.circle.distance(circle) <= 0.5 * circle.radius]
        return min(near, key=lambda d: d.circle.distance(circle), default=None)

    def follow(self, image: Image, circle: Circle) -> Detection | None:
        """The person in a circle where they were a moment ago; scored by how well their torso is seen."""
        seen = self.observe(image, circle)
        return Detection(seen.circle, float(seen.image[TORSO, 2].mean())) if seen else None

    def observe(self, image: Image, circle: Circle, mirrored: bool = False) -> Observation | None:
        """The landmarks of the person in a circle; None where the network sees nobody there.

        Args:
            image: (H, W, 3) uint8 RGB.
            circle: around the person, from a detection or from the frame before.
            mirrored: show the network the mirror image, and undo that in its answer: a second opinion.
        """
        to_crop = _crop_transform(circle)
        if mirrored:
            to_crop = np.diag([-1.0, 1.0, 1.0]) @ to_crop
            to_crop[0, 2] += CROP
        crop = _warp(image, to_crop, (CROP, CROP))
        answer = self._landmarks_of(crop)
        if answer is None:
            return None
        from_crop = np.linalg.inv(to_crop)
        points = _transform(from_crop, answer.image[:, :2])
        # The linear part without its scale turns crop axes (mirrored or not) into the picture's.
        turn = from_crop[:2, :2] / np.sqrt(abs(np.linalg.det(from_crop[:2, :2])))
        world = np.column_stack([answer.world[:, :2] @ turn.T, answer.world[:, 2]])
        order = MIRRORED if mirrored else np.arange(LANDMARKS)
        centre, rim = _transform(
            from_crop, np.stack([answer.circle.hips, answer.circle.hips + answer.circle.up])
        )
        return Observation(
            image=np.column_stack([points, answer.image[:, 2]])[order],
            world=world[order],
            probability=_warp(answer.probability, from_crop, (image.shape[1], image.shape[0])),
            circle=Circle(centre, rim - centre),
        )

    def _detect_once(self, image: Image) -> list[Detection]:
        size = np.array([image.shape[1], image.shape[0]], np.float64)
        found = []
        for detection in self._detector.process(image).detections or []:
            points = detection.location_data.relative_keypoints
            hips, rim = (np.array([points[i].x, points[i].y]) * size for i in (0, 1))
            circle = Circle(hips, rim - hips)
            if circle.radius >= MIN_RADIUS:
                found.append(Detection(circle, float(detection.score[0])))
        return found

    def _landmarks_of(self, crop: Image) -> Observation | None:
        """The network's answer in the crop's own pixels and axes."""
        answer: Any = self._landmarker.process({"image": crop, "roi": self._whole})
        if answer.landmarks is None or answer.world is None or answer.mask is None:
            return None
        hips, rim = (np.array([p.x, p.y]) * CROP for p in answer.circle.landmark[:2])
        return Observation(
            image=np.array([(p.x * CROP, p.y * CROP, p.visibility) for p in answer.landmarks.landmark]),
            world=np.array([(p.x, p.y, p.z) for p in answer.world.landmark]),
            probability=np.array(answer.mask, np.float32),
            circle=Circle(hips, rim - hips),
        )


def _moved(found: list[Detection], offset: NDArray) -> list[Detection]:
    return [Detection(Circle(d.circle.hips + offset, d.circle.up), d.score) for d in found]


def _tile_corners(width: int, height: int, side: int) -> list[tuple[int, int]]:
    """Left and top of the half-overlapping squares of `side` that cover a picture longer than them."""
    if max(width, height) < 1.2 * side:
        return []
    reach = max(width, height) - side
    starts = np.linspace(0, reach, 1 + int(np.ceil(2 * reach / side))).astype(int)
    return [(int(s), 0) if width > height else (0, int(s)) for s in starts]


def _crop_transform(circle: Circle) -> Array:
    """(3, 3) from the picture's pixels to those of the upright crop."""
    scale = CROP / (2 * CROP_MARGIN * max(circle.radius, 1.0))
    sine, cosine = np.array([circle.up[0], -circle.up[1]]) / max(circle.radius, 1e-9)
    linear = scale * np.array([[cosine, sine], [-sine, cosine]])
    transform = np.eye(3)
    transform[:2, :2] = linear
    transform[:2, 2] = CROP / 2 - linear @ circle.hips
    return transform


def _warp(image: NDArray, transform: NDArray, size: tuple[int, int]) -> NDArray:
    """The picture under an affine transform of pixel coordinates (centres at +0.5), without aliasing."""
    shrink = min(1.0, float(np.sqrt(abs(np.linalg.det(transform[:2, :2])))))
    if shrink < 0.8:
        height, width = image.shape[:2]
        # A size, not factors: with these OpenCV keeps the factor and cuts the last pixel.
        smaller = (max(1, round(width * shrink)), max(1, round(height * shrink)))
        image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
        transform = transform @ np.diag([width / image.shape[1], height / image.shape[0], 1.0])
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = (np.linalg.inv(half) @ transform @ half)[:2]
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR)


def _transform(transform: NDArray, points: NDArray) -> Array:
    return points @ transform[:2, :2].T + transform[:2, 2]


def find_people(images: Iterable[Image], fps: float) -> list[Track]:
    """Everybody in a clip, most prominent first; see `Tracker`.

    Args:
        images: the frames, (H, W, 3) uint8 RGB.
        fps: of the frames.
    """
    tracker = Tracker(fps)
    with BlazePose() as engine:
        for image in images:
            tracker.update(partial(engine.detect, image), partial(engine.follow, image))
    return tracker.tracks()
