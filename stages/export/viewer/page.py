"""Writing viewer.html."""

import base64
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from numpy.typing import NDArray

from models.body import Motion
from models.body.posture import up_axis
from stages.export.clip import Clip, evenly
from stages.export.footage import subject_window
from stages.export.viewer.packing import body_arrays, contained, joint_transforms, pack_gaussians
from stages.export.viewer.pictures import background
from stages.pages import templates

_GROUND_FRAMES = 12


def write_viewer(path: Path, clip: Clip, title: str, picture_height: int) -> None:
    """Writes the page that shows a clip's avatar in motion: one HTML file that asks for nothing else.

    Args:
        path: of the page.
        clip: the avatar drives through both of its motions.
        title: what the page calls the clip.
        picture_height: of the clip's pictures behind the avatar, at most; 0 leaves them out.
    """
    gaussians, box = pack_gaussians(clip.avatar)
    arrays = {
        "gaussians": gaussians,
        "refined": joint_transforms(clip.avatar, clip.refined),
        "initial": joint_transforms(clip.avatar, clip.initial),
        **body_arrays(clip.avatar, clip.body),
    }
    places, data = contained(arrays)
    pictures = background(clip, picture_height)
    facts = _facts(clip) | {"arrays": places, "gaussians": len(gaussians), "box": box.tolist()}
    page = (
        templates("stages.export")
        .get_template("viewer.html.j2")
        .render(
            title=title,
            facts=htmlsafe_json_dumps(facts, allow_nan=False),
            data=data,
            pictures=[base64.b64encode(picture).decode() for picture in pictures],
            program=Markup(program()),
        )
    )
    path.write_text(page, encoding="utf-8", errors="replace")


def program() -> str:
    """The viewer's JavaScript as it was built."""
    return (files("stages.export.viewer") / "viewer.min.js").read_text(encoding="utf-8")


def _facts(clip: Clip) -> dict[str, Any]:
    """What the program has to know beside the arrays. Pixels are those of the working picture."""
    window, up = subject_window(clip, clip.frames.height), up_axis(clip.refined)
    return {
        "frames": len(clip.frames),
        "fps": clip.frames.fps,
        "valid": clip.refined.valid.tolist(),
        "width": clip.frames.width,
        "height": clip.frames.height,
        "window": [window.left, window.top, window.columns, window.rows],
        "cameras": {"refined": _camera(clip, clip.refined), "initial": _camera(clip, clip.initial)},
        "up": up.tolist(),
        "ground": _ground(clip, up),
        "pelvis": clip.avatar.rest_joints[0].tolist(),
    }


def _camera(clip: Clip, motion: Motion) -> list[float]:
    """fx, fy, cx, cy of the working picture."""
    K = clip.intrinsics(motion)
    return [float(K[entry]) for entry in ((0, 0), (1, 1), (0, 2), (1, 2))]


def _ground(clip: Clip, up: NDArray[np.float64]) -> float:
    """How high the ground lies along `up`, metres: the median of the body's lowest points."""
    frames = evenly(clip.seen if len(clip.seen) else range(len(clip.frames)), _GROUND_FRAMES)
    motion = clip.refined
    with torch.no_grad():
        posed = clip.body.pose(
            torch.from_numpy(motion.poses[frames]),
            torch.from_numpy(motion.trans[frames]),
            torch.from_numpy(motion.betas),
        )
    return float(np.median((posed.vertices.numpy() @ up).min(axis=1)))
