"""viewer.html of a finished workspace: what it weighs, how fast it opens and draws, what it asks of a GPU.

    python -m benchmarks.viewer WORKSPACE [--write]

Needs chromium and playwright. Chromium draws with SwiftShader, on the CPU.
"""

import argparse
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from playwright.sync_api import Page, sync_playwright

import pipeline  # noqa: F401 - sets the environment of what is imported below
from benchmarks.loop_table import machine
from models.avatar import Avatar
from models.body import Motion
from models.rasterizer.dense import project
from tests.browser import ARGUMENTS, chromium_executable, wait_until

TABLE = Path(__file__).with_suffix(".md")
TIMES = 7
SECONDS = 4.0
SCREENS = {
    "1280x800": {"viewport": {"width": 1280, "height": 800}},
    "1920x1080": {"viewport": {"width": 1920, "height": 1080}},
    "phone, 390x844 at 2 pixels": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}
SORTED = (16_000, 50_000, 200_000)
# `sort` measures one sort of so many Gaussians, the clip's own again and again; milliseconds.
SORT = """count => {
  const { words, box, count: own } = viewer.clip.gaussians, many = new Uint32Array(8 * count);
  for (let i = 0; i < count; i++) many.set(words.subarray(8 * (i % own), 8 * (i % own) + 8), 8 * i);
  const sorter = new viewer.splats.sorter.constructor(many, count, box), order = new Uint32Array(count);
  const sort = () => sorter.sort(viewer.joints, [0, 0, 1], order);
  for (let i = 0; i < 20; i++) sort();
  const start = performance.now();
  for (let i = 0; i < 20; i++) sort();
  return (performance.now() - start) / 20;
}"""
# A whole picture at rest, waited for, milliseconds.
DRAW = """() => {
  const gl = viewer.renderer.getContext(), pixel = new Uint8Array(4), start = performance.now();
  viewer.draw();
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
  return performance.now() - start;
}"""
# Pictures a second while it plays, with as many pixels as it then allows itself.
PLAY = """seconds => new Promise(done => {
  let count = 0, start = null;
  const next = now => {
    if (start === null) start = now; else count++;
    if (now - start < 1000 * seconds) return requestAnimationFrame(next);
    viewer.play(false);
    done([1000 * count / (now - start), viewer.canvas.width, viewer.canvas.height]);
  };
  viewer.play(true);
  setTimeout(() => requestAnimationFrame(next), 3000);
})"""
HEADING = """# viewer.html

`python -m benchmarks.viewer WORKSPACE --write`, on the workspace of `examples/clip.mp4`, preset default:
{frames} frames, {count} Gaussians. {machine}, {load:.0f} other processes at work. Chromium
{browser}, WebGL drawn by SwiftShader on the CPU. Medians of {times}.

"""


def median(measure: Callable[[], Any]) -> float:
    """Of several measurements."""
    return statistics.median(measure() for _ in range(TIMES))


def processor_seconds() -> float:
    """That Chromium has used up to now."""
    spent = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
    return sum(times.user + times.system for times in spent)


def weights(page: str) -> list[tuple[str, int]]:
    """Bytes of the page by what they are."""
    parts, rest = [], page
    for name, opening in (
        ("avatar, motions and body", 'id="data">'),
        ("the clip's pictures", 'id="pictures">'),
        ("the program", "<script>"),
    ):
        content = page.split(opening, 1)[1].split("</script>", 1)[0]
        parts.append((name, len(content.encode())))
        rest = rest.replace(content, "")
    return [*parts, ("everything else", len(rest.encode()))]


def overdraw(page: Page, avatar: Avatar, motion: Motion) -> tuple[int, int]:
    """Pixels of the canvas, and pixels of all quads in the picture of the first frame."""
    camera = page.evaluate("viewer.draw(); viewer.camera()")
    with torch.no_grad():
        posed = avatar.pose(motion.poses[0], avatar.trans_for(motion)[0])
        conics, seen = project(
            posed.means, posed.covariances, torch.tensor(camera["K"]), camera["width"], camera["height"]
        )[1:]
    determinant = conics[:, 0] * conics[:, 2] - conics[:, 1] ** 2
    reach = 2 * torch.log(255 * avatar.opacity_logits.sigmoid()).clamp_min(0)  # squared standard deviations
    quads = 4 * reach * determinant.clamp_min(1e-12).rsqrt()
    return camera["width"] * camera["height"], int(quads[seen].sum())


def measured(path: Path, avatar: Avatar, motion: Motion) -> str:
    """The tables."""
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium_executable(), args=list(ARGUMENTS))

        def opened(**screen: Any) -> Page:
            page = browser.new_page(**screen)
            page.goto(path.resolve().as_uri())
            wait_until(page, "globalThis.viewer?.openedAfter > 0")
            return page

        def opening() -> float:
            page = opened(viewport={"width": 1280, "height": 800})
            milliseconds = float(page.evaluate("viewer.openedAfter"))
            page.close()
            return milliseconds

        text = HEADING.format(
            frames=len(motion),
            count=len(avatar),
            machine=machine(),
            browser=browser.version,
            load=os.getloadavg()[1],
            times=TIMES,
        )
        text += f"Opens in **{median(opening) / 1000:.2f} s**: from the call to the first picture drawn.\n\n"
        text += "| part | MB |\n|---|---|\n"
        found = weights(path.read_text("utf-8"))
        for name, size in [*found, ("**all**", sum(size for _, size in found))]:
            text += f"| {name} | {size / 1e6:.2f} |\n"
        page = opened()
        text += "\n| Gaussians sorted | ms |\n|---|---|\n"
        for count in SORTED:
            text += f"| {count} | {median(lambda count=count: page.evaluate(SORT, count)):.2f} |\n"
        text += "\n| screen | canvas | pixels of all quads | ms a picture | CPU ms | while it plays |\n"
        text += "|---|---|---|---|---|---|\n"
        for name, screen in SCREENS.items():
            page = opened(**screen)
            pixels, quads = overdraw(page, avatar, motion)
            before = processor_seconds()
            rest = median(lambda page=page: page.evaluate(DRAW))
            spent = 1000 * (processor_seconds() - before) / TIMES
            rate, width, height = page.evaluate(PLAY, SECONDS)
            text += f"| {name} | {pixels / 1e6:.2f} M | {quads / 1e6:.1f} M | {rest:.0f} | {spent:.0f} "
            text += f"| {rate:.0f} a second at {width}x{height} |\n"
            page.close()
        browser.close()
    return text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--write", action="store_true", help=f"also into {TABLE.name}, before its notes")
    arguments = parser.parse_args()
    folder = arguments.workspace / "export"
    text = measured(
        folder / "viewer.html", Avatar.load(folder / "avatar.npz"), Motion.load(folder / "motion.npz")
    )
    print(text)
    if arguments.write:
        notes = TABLE.read_text("utf-8").partition("\n## ") if TABLE.is_file() else ("", "", "")
        TABLE.write_text(text + "".join(notes[1:]), "utf-8")


if __name__ == "__main__":
    main()
