"""Pages in a real browser: fixtures for every test that looks at what we write as HTML.

The system's Chromium is driven by Playwright; without either of them these tests skip, with the reason. WebGL
is drawn by SwiftShader on the CPU, so pictures do not depend on a graphics card.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--hide-scrollbars",
)

PATIENCE = 60  # seconds

OpenPage = Callable[..., "Page"]


def chromium_executable() -> str | None:
    """The system's Chromium; $CHROMIUM names another one."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """Headless Chromium, started once for all tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    executable = chromium_executable()
    if executable is None:
        pytest.skip("needs chromium, which is not installed")
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the pages of a test complained about: errors and warnings on the console, uncaught exceptions, and
    requests to anywhere but the disk. Empty after a test in which all went well."""
    return []


@pytest.fixture
def open_page(browser: "Browser", complaints: list[str]) -> Iterator[OpenPage]:
    """`open_page(path)` shows a file from the disk; keywords (viewport, has_touch, is_mobile, color_scheme,
    device_scale_factor ...) are those of Playwright's `new_context`. Every page has a context of its own."""
    contexts = []

    def show(path: Path, **options: Any) -> "Page":
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("console", lambda said: _note(complaints, said.type, said.text))
        page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
        page.on("request", lambda request: _asked(complaints, request.url))
        page.goto(path.resolve().as_uri())
        return page

    yield show
    for context in contexts:
        context.close()


def wait_until(page: "Page", condition: str) -> None:
    """Waits until a JavaScript expression holds. Unlike Playwright's `wait_for_function` it does so also on
    pages whose security policy forbids to evaluate text."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(condition):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {PATIENCE} s: {condition}")
        page.wait_for_timeout(20)


def overflow(page: "Page") -> int:
    """By how many pixels a page is wider than its window; 0 where nothing has to be scrolled sideways."""
    root = "document.documentElement"
    return max(0, int(page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")))


def _note(complaints: list[str], kind: str, text: str) -> None:
    # What the software renderer says of its own speed is no fault of the page's.
    if kind in ("error", "warning") and "GPU stall due to ReadPixels" not in text:
        complaints.append(f"{kind}: {text}")


def _asked(complaints: list[str], address: str) -> None:
    if not address.startswith(("file:", "data:", "blob:")):
        complaints.append(f"asked the network for {address}")
