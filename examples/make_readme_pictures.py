"""The pictures in README.md, from a finished workspace of examples/clip.mp4.

    uv run python examples/make_readme_pictures.py clip.hsplat docs/images

overview.webp moves. From left to right: the video, the body as first estimated and as refined, the avatar
seen by the same camera, the avatar from the side, and from all sides in a pose that the video does not show.
report.webp is what a browser shows of the report; it needs chromium and the Python package playwright.
"""

import argparse
import shutil
from collections.abc import Iterator
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

HEIGHT = 380
QUALITY = 85  # of 100, of WebP
REPORT_QUALITY = 80
REPORT_WINDOW = {"width": 1000, "height": 1240}  # of each of the two parts that are shown
REPORT_PARTS = ("header", "#before-after")


def overview(clip: Clip) -> Iterator[Image]:
    """The row of panels, frame by frame."""
    window = footage.subject_window(clip, HEIGHT)
    size, K = (window.width, window.height), window.intrinsics(clip.K)
    backdrop = footage.plain_backdrop(*size)
    turntable = footage.Turntable(clip.avatar, window.height)
    up, count = up_axis(clip.refined), len(clip.seen)
    for number, index in enumerate(clip.seen.tolist()):
        aside = orbit(clip.pelvis(index), up, np.pi / 2)
        panels = {
            "your video": window.of(clip.frames.image(index)),
            "": footage.outlined(clip, index, window),
            "avatar": footage.over(*clip.render(index, K, *size), backdrop),
            "from the side": footage.over(*clip.render(index, K, *size, aside), backdrop),
            "in a new pose": turntable.view(2 * np.pi * number / count),
        }
        for words, panel in panels.items():
            if words:
                drawing.label(panel, [(words, footage.PLAIN)])
        yield drawing.beside(list(panels.values()))


def write_animation(path: Path, pictures: Iterator[Image], fps: float) -> None:
    """Writes an animated WebP that runs for ever."""
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) for picture in pictures]
    animation.durations = np.full(len(animation.frames), round(1000 / fps))
    cv2.imwriteanimation(str(path), animation, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])


def photograph(report: Path) -> Image:
    """What a browser shows of the report: its beginning, and beside it the part from before and after on."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=REPORT_WINDOW, color_scheme="light")
        page.goto(report.resolve().as_uri())
        parts = []
        for part in REPORT_PARTS:
            page.locator(part).evaluate("element => element.scrollIntoView()")
            shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
            parts.append(cv2.cvtColor(shot, cv2.COLOR_BGR2RGB))
        browser.close()
    return drawing.beside(parts)


def main() -> None:
    """Reads the workspace, writes the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    clip = Clip.load({name: arguments.workspace / name for name in NEEDS}, load_embedded_body())
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_animation(arguments.folder / "overview.webp", overview(clip), clip.frames.fps)
    shown = cv2.cvtColor(photograph(arguments.workspace / "export" / "report.html"), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(arguments.folder / "report.webp"), shown, [cv2.IMWRITE_WEBP_QUALITY, REPORT_QUALITY])


if __name__ == "__main__":
    main()
