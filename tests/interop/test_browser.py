"""Viewers in a browser show what we draw ourselves: Spark and PlayCanvas the Gaussians, three.js the body."""

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.body import BodyModel
from models.cameras import Camera, look_at
from models.drawing import silhouette
from tests.interop.conftest import HERE, Exported

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTH, HEIGHT, DISTANCE, OPENING = 288, 384, 3.2, 40.0
TRIALS = 60

Image = NDArray[np.float64]
Photograph = Callable[..., Image]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def address(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server of the page, the packages and the exported files."""
    if not (HERE / "node_modules").is_dir():
        pytest.skip("needs the packages of tests/interop: make test-interop")
    root = tmp_path_factory.mktemp("served")
    for name in ("splats.html", "gltf_splats.html", "body.html", "node_modules"):
        (root / name).symlink_to(HERE / name)
    (root / "exported").symlink_to(exported.folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def photograph(browser: "Browser", address: str, tmp_path: Path) -> Photograph:
    """`photograph(page, file, width, height, ...)` gives what a page of this folder shows of a file,
    (H, W, 3) in [0, 1]; it is kept in the test's folder."""

    def picture(page_name: str, file: Path, width: int, height: int, **query: object) -> Image:
        page = browser.new_page(viewport={"width": width, "height": height})
        said: list[str] = []
        page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        asked = {"file": f"/exported/{file.name}", "width": width, "height": height, **query}
        page.goto(f"{address}/{page_name}?{urlencode(asked)}")
        seen = settled(page, said)
        page.close()
        assert not said
        cv2.imwrite(str(tmp_path / f"{file.name}.png"), np.rint(255 * seen[..., ::-1]).astype(np.uint8))
        return seen

    return picture


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("splats.html", "ply"),
        ("splats.html", "splat"),
        ("splats.html", "spz"),
        ("gltf_splats.html", "gltf-splat"),
    ],
)
def test_viewers_show_the_person(exported: Exported, photograph: Photograph, page: str, name: str) -> None:
    place = {"fov": OPENING, "at": f"0,0,{DISTANCE}"}
    found = photograph(page, exported.path(name), WIDTH, HEIGHT, **place)
    expected = own_picture(exported)
    # Half opaque or more; programs make the faint rims of Gaussians differently wide.
    covered, shown = (one.min(axis=-1) < 0.8 for one in (expected, found))
    assert covered.mean() > 0.05
    assert (covered & shown).sum() / (covered | shown).sum() > 0.95
    assert np.abs(expected - found)[covered & shown].mean() < 0.02


def test_three_js_shows_the_body_as_the_clip_s_camera_saw_it(
    exported: Exported, photograph: Photograph, body: BodyModel
) -> None:
    frame, motion = 4, exported.content.motion
    time = exported.content.times[frame]
    found = photograph("body.html", exported.path("glb"), motion.width, motion.height, time=time)
    arguments = (motion.poses[[frame]], motion.trans[[frame]], motion.betas)
    vertices = body.pose(*map(torch.from_numpy, arguments)).vertices[0].numpy()
    region = silhouette(vertices, body.faces.numpy(), motion.K, motion.width, motion.height) > 0
    shown = found.min(axis=-1) < 0.95
    assert region.mean() > 0.05
    assert (region & shown).sum() / (region | shown).sum() > 0.97


def settled(page: "Page", said: list[str]) -> Image:
    """The page's picture (H, W, 3) in [0, 1] once Spark has sorted everything and it changes no more."""
    page.wait_for_function("window.drawn > 2", timeout=120_000)
    before = b""
    for _ in range(TRIALS):
        drawn = page.evaluate("window.drawn")
        page.wait_for_function(f"window.drawn > {drawn + 3}", timeout=60_000)
        now = page.screenshot()
        pixels = cv2.imdecode(np.frombuffer(now, np.uint8), cv2.IMREAD_COLOR)
        if now == before and pixels.min() < 250:
            return pixels[..., ::-1] / 255
        before = now
    raise AssertionError(f"the picture never came to rest; {said}")


def own_picture(exported: Exported) -> Image:
    """(H, W, 3) of the same Gaussians by the same camera, over white."""
    focal = HEIGHT / 2 / np.tan(np.radians(OPENING) / 2)
    K = np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]])
    camera = Camera(K, WIDTH, HEIGHT, look_at([0, 0, 0], DISTANCE))
    with torch.no_grad():
        return exported.content.avatar.pose(np.zeros(72)).render(camera, torch.ones(3)).double().numpy()
