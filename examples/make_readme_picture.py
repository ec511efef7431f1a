"""The picture in README.md, from a finished workspace of examples/clip.mp4.

    uv run python examples/make_readme_picture.py clip.hsplat docs/images/overview.jpg

From left to right: the video, the body as first estimated and as refined, the avatar seen by the same camera,
the avatar from the side, and in a pose that the video does not show.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from models import drawing
from models.body import load_embedded_body
from models.body.posture import up_axis
from models.cameras import orbit
from models.drawing import Image
from stages.export import NEEDS, footage
from stages.export.clip import Clip

HEIGHT = 420
QUALITY = 90


def picture(clip: Clip, index: int) -> Image:
    """The row of panels for one frame."""
    window = footage.subject_window(clip, HEIGHT)
    size, K = (window.width, window.height), window.intrinsics(clip.K)
    backdrop = footage.plain_backdrop(*size)
    aside = orbit(clip.pelvis(index), up_axis(clip.refined), np.pi / 2)
    panels = {
        "your video": window.of(clip.frames.image(index)),
        "": footage.outlined(clip, index, window),
        "avatar": footage.over(*clip.render(index, K, *size), backdrop),
        "from the side": footage.over(*clip.render(index, K, *size, aside), backdrop),
        "in a new pose": footage.Turntable(clip.avatar, window.height).view(np.pi / 6),
    }
    for words, panel in panels.items():
        if words:
            drawing.label(panel, [(words, footage.PLAIN)])
    return drawing.beside(list(panels.values()))


def main() -> None:
    """Reads the workspace, writes the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--frame", type=int, help="the middle of those that show the person, unless given")
    arguments = parser.parse_args()
    clip = Clip.load({name: arguments.workspace / name for name in NEEDS}, load_embedded_body())
    index = int(clip.seen[len(clip.seen) // 2]) if arguments.frame is None else arguments.frame
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    pixels = cv2.cvtColor(picture(clip, index), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(arguments.output), pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


if __name__ == "__main__":
    main()
