"""The fixtures that look at pages: they must notice what goes wrong."""

from pathlib import Path

import pytest

from tests.browser import OpenPage, chromium_executable, overflow


def test_a_page_without_faults_leaves_nothing_to_complain_about(
    tmp_path: Path, open_page: OpenPage, complaints: list[str]
) -> None:
    (tmp_path / "good.html").write_text("<!doctype html><title>Good</title><p>fine")
    page = open_page(tmp_path / "good.html")
    assert page.title() == "Good"
    assert overflow(page) == 0
    assert not complaints


def test_errors_requests_and_overflow_are_noticed(
    tmp_path: Path, open_page: OpenPage, complaints: list[str]
) -> None:
    (tmp_path / "bad.html").write_text(
        '<!doctype html><meta name="viewport" content="width=device-width"><img src="http://127.0.0.1:9/a.png">'
        '<script>console.error("ouch")</script><script>throw new Error("broken")</script>'
        '<div style="width: 500px">wide</div>'
    )
    page = open_page(tmp_path / "bad.html", viewport={"width": 360, "height": 640}, is_mobile=False)
    page.wait_for_function("document.readyState === 'complete'")
    assert overflow(page) >= 140
    told = "\n".join(complaints)
    for words in ("ouch", "broken", "asked the network for http://127.0.0.1:9/a.png"):
        assert words in told


def test_webgl2_is_there(tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "page.html").write_text("<!doctype html><canvas id=c></canvas>")
    assert open_page(tmp_path / "page.html").evaluate("c.getContext('webgl2') !== null")


def test_the_browser_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "/opt/mine/chromium")
    assert chromium_executable() == "/opt/mine/chromium"
