"""What `view` shows: a clip with its avatar, body and camera frame by frame, or an avatar alone."""

import math
import threading
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
import viser
import viser.uplot
from numpy.typing import NDArray

from models.avatar import Avatar, a_pose
from models.body.posture import up_axis
from stages.export.clip import Clip
from stages.export.losses import loss_curves

REFINED, INITIAL = "refined", "as first estimated"
POSES = {"A-pose": a_pose, "T-pose": lambda: np.zeros(72, np.float32)}

_PICTURE_SIDE = 640  # pixels, of a frame in the scene
_JPEG_QUALITY = 75
_FRUSTUM, _FRUSTUM_LINES = 0.25, 0.006  # metres
_BEHIND = 1.5  # metres from the person to the video behind them
_BODY_COLOR = (90, 160, 220)
_VIEW = math.radians(50)  # vertical field of the first view
_START = (-0.5, 0.2)  # radians that the first view is turned and raised against the clip's camera
_FARTHER = 1.4  # than that camera
_AVATAR_DISTANCE = 3.2  # metres

Array = NDArray[np.floating]


def prepare(avatar: Avatar) -> None:
    """Poses an avatar once: the first time compiles for seconds, in which a page would show nothing."""
    _gaussians(avatar, a_pose(), np.zeros(3, np.float32))


class _Splats:
    """An avatar in the scene, in one pose at a time."""

    def __init__(self, server: viser.ViserServer, avatar: Avatar, poses: Array, trans: Array) -> None:
        self.avatar = avatar
        self.handle = server.scene.add_gaussian_splats("/avatar", *_gaussians(avatar, poses, trans))

    def show(self, poses: Array, trans: Array) -> None:
        self.handle.set_gaussians(*_gaussians(self.avatar, poses, trans))


@torch.no_grad()
def _gaussians(avatar: Avatar, poses: Array, trans: Array) -> tuple[Array, Array, Array, Array]:
    """Means, covariances, colours and opacities, as viser takes them."""
    posed = avatar.pose(poses, trans)
    parts = posed.means, posed.covariances, posed.colors.clamp(0, 1), posed.opacities[:, None]
    means, covariances, colors, opacities = (part.numpy() for part in parts)
    return means, covariances, colors, opacities


class ClipScene:
    """A clip's frames. Only the frame in view is computed and sent.

    The scene is the clip's camera space; the camera stands at its origin.
    """

    def __init__(self, server: viser.ViserServer, clip: Clip, history: Mapping[str, Any]) -> None:
        self.server, self.clip = server, clip
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._rest = clip.avatar.rest_joints[0].numpy()
        first = int(clip.seen[0]) if len(clip.seen) else 0
        self._add_things(first)
        self._add_controls(first, history)
        self.show()
        self._player = threading.Thread(target=self._play, daemon=True)
        self._player.start()

    @property
    def frame(self) -> int:
        return int(self.slider.value)

    @frame.setter
    def frame(self, index: int) -> None:
        self.slider.value = index  # type: ignore[misc]  # calls `show`

    def close(self) -> None:
        """Ends what runs beside the server."""
        self._ended.set()
        self._player.join()

    def show(self) -> None:
        """Brings the scene up to what the controls say."""
        with self._lock, self.server.atomic():
            index, clip = self.frame, self.clip
            motion = clip.initial if self.motion.value == INITIAL else clip.refined
            self.splats.show(motion.poses[index], clip.pelvises(motion)[index] - self._rest)
            self.splats.handle.visible = self.show_avatar.value
            self.body.visible = self.show_body.value
            if self.show_body.value:
                self.body.vertices = clip.body_vertices(motion, index)
            picture = _small(clip.frames.image(index))
            self.camera.visible, self.video.visible = self.show_camera.value, self.show_video.value
            self.camera.image = self.video.image = picture
            unseen = "" if clip.refined.valid[index] else ", person not seen: interpolated"
            self.told.content = f"{clip.frames.times[index] - clip.frames.times[0]:.2f} s{unseen}"

    def _add_things(self, index: int) -> None:
        clip, scene = self.clip, self.server.scene
        up, pelvis = up_axis(clip.refined), clip.pelvis(index)
        scene.set_up_direction(up)
        # Before all else: a page that is open already goes where the first view is only while it loads.
        self._look_aside(pelvis, up)
        width, height, K = clip.frames.width, clip.frames.height, clip.K
        picture = _small(clip.frames.image(index))
        self.camera = scene.add_camera_frustum(
            "/camera",
            fov=2 * math.atan(height / (2 * K[1, 1])),
            aspect=width / height,
            scale=_FRUSTUM,
            thickness=_FRUSTUM_LINES,
            image=picture,
            jpeg_quality=_JPEG_QUALITY,
        )
        depth = float(clip.pelvises(clip.refined)[:, 2].max()) + _BEHIND
        middle = (np.array([width, height]) / 2 - K[:2, 2]) / K[[0, 1], [0, 1]]
        self.video = scene.add_image(
            "/video",
            picture,
            render_width=depth * width / K[0, 0],
            render_height=depth * height / K[1, 1],
            jpeg_quality=_JPEG_QUALITY,
            position=(*(depth * middle), depth),
            cast_shadow=False,
            receive_shadow=False,
        )
        poses, trans = clip.refined.poses[index], pelvis - self._rest
        self.splats = _Splats(self.server, clip.avatar, poses, trans)
        self.body = scene.add_mesh_simple(
            "/body",
            clip.body_vertices(clip.refined, index),
            clip.body.faces.numpy(),
            color=_BODY_COLOR,
            visible=False,
        )

    def _look_aside(self, pelvis: Array, up: Array) -> None:
        aside, raised = _START
        away = math.cos(raised) * (-pelvis * math.cos(aside) + np.cross(up, -pelvis) * math.sin(aside))
        position = pelvis + _FARTHER * (away + np.linalg.norm(pelvis) * math.sin(raised) * up)
        _look(self.server, position, pelvis, up)

    def _add_controls(self, first: int, history: Mapping[str, Any]) -> None:
        gui = self.server.gui
        gui.configure_theme(show_share_button=False, show_logo=False)
        last = len(self.clip.frames) - 1
        self.slider = gui.add_slider("Frame", 0, last, 1, first)
        self.told = gui.add_markdown("")
        self.playing = gui.add_checkbox("Play", False)
        self.motion = gui.add_dropdown("Motion", (REFINED, INITIAL), initial_value=REFINED)
        self.show_avatar = gui.add_checkbox("Avatar", True)
        self.show_body = gui.add_checkbox("Body mesh", False)
        self.show_video = gui.add_checkbox("Video behind", True)
        self.show_camera = gui.add_checkbox("Camera", True)
        _, curves = loss_curves(history["losses"])
        if "total" in curves:
            with gui.add_folder("Total loss", expand_by_default=False):
                self.losses = _plot(gui, *curves["total"])
        things = self.show_avatar, self.show_body, self.show_video, self.show_camera
        for control in (self.slider, self.motion, *things):
            control.on_update(lambda _: self.show())

    def _play(self) -> None:
        count, pause = len(self.clip.frames), 1 / self.clip.frames.fps
        while not self._ended.wait(pause):
            if self.playing.value:
                self.frame = (self.frame + 1) % count


class AvatarScene:
    """An avatar in poses that no clip need have shown; Y up."""

    def __init__(self, server: viser.ViserServer, avatar: Avatar) -> None:
        pelvis = avatar.rest_joints[0].numpy()
        server.scene.set_up_direction("+y")
        _look(server, pelvis + np.array([0, 0, _AVATAR_DISTANCE]), pelvis, np.array([0.0, 1, 0]))
        gui = server.gui
        gui.configure_theme(show_share_button=False, show_logo=False)
        self._origin = np.zeros(3, np.float32)
        self.pose = gui.add_dropdown("Pose", tuple(POSES))
        self.splats = _Splats(server, avatar, POSES[self.pose.value](), self._origin)
        self.pose.on_update(lambda _: self.show())

    def show(self) -> None:
        """Brings the scene up to what the control says."""
        self.splats.show(POSES[self.pose.value](), self._origin)

    def close(self) -> None:
        """Nothing runs beside the server."""


def _look(server: viser.ViserServer, position: Array, target: Array, up: Array) -> None:
    camera = server.initial_camera
    camera.position, camera.look_at, camera.up = tuple(position), tuple(target), tuple(up)
    camera.fov = _VIEW


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    factor = _PICTURE_SIDE / max(image.shape[:2])
    if factor >= 1:
        return image
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _plot(gui: viser.GuiApi, steps: list[float], values: list[float]) -> viser.GuiUplotHandle:
    logarithms = np.log10(np.maximum(values, 1e-12))
    return gui.add_uplot(
        (np.asarray(steps), logarithms),
        (viser.uplot.Series(label="step"), viser.uplot.Series(label="log10", stroke="#0b7285", width=2)),
        aspect=1.6,
    )
