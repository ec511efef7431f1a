"""The report as a reader meets it, in Chromium."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from stages.base import Work
from stages.export import STAGE, ExportSettings
from tests.browser import OpenPage, overflow
from tests.stages.export.conftest import Inputs

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
_BEFORE = ".moment.chosen .wipe >> nth=0 >> .early"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, inputs: Inputs) -> Path:
    folder = tmp_path_factory.mktemp("export")
    settings = ExportSettings(video_height=64, turntable_frames=4, video_frames=2)
    STAGE.run(Work(inputs, folder, folder, settings, "numba"))
    return folder / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_fits_the_window_and_asks_for_nothing(
    report: Path, open_page: OpenPage, complaints: list[str], viewport: dict[str, int], scheme: str
) -> None:
    page = open_page(report, viewport=viewport, color_scheme=scheme)
    assert overflow(page) == 0
    assert not complaints
    pictures = page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert pictures


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_background(report: Path, open_page: OpenPage, scheme: str) -> None:
    page = open_page(report, color_scheme=scheme)
    for element in ("h1", ".quiet", ".advice li", "td", "a", ".picker button[aria-pressed=true]"):
        assert _contrast(page, element) >= 4.5, element


def test_the_border_moves_by_keyboard_and_by_mouse(
    report: Path, open_page: OpenPage, complaints: list[str]
) -> None:
    page = open_page(report)
    slider = page.locator(".moment.chosen .wipe input").first
    assert _share_before(page) == pytest.approx(0.5, abs=0.01)
    slider.focus()
    page.keyboard.press("End")
    assert _share_before(page) == pytest.approx(1, abs=0.01)
    assert slider.get_attribute("aria-valuetext") == "100 % of the picture before"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert _share_before(page) == pytest.approx(0.01, abs=0.005)
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.3 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], middle, steps=4)
    page.mouse.up()
    assert _share_before(page) == pytest.approx(0.7, abs=0.05)
    assert not complaints


def test_frames_are_chosen_with_the_keyboard(report: Path, open_page: OpenPage) -> None:
    page = open_page(report)
    shown = page.locator(".moment:visible")
    assert shown.count() == 1
    page.locator(".picker button").first.focus()
    page.keyboard.press("Enter")
    assert shown.count() == 1
    assert shown.get_attribute("aria-label") == page.locator(".picker button").first.inner_text()
    assert page.locator(".picker button[aria-pressed=true]").count() == 1


def test_on_paper_everything_is_there_side_by_side(report: Path, open_page: OpenPage) -> None:
    page = open_page(report, viewport={"width": 720, "height": 1000}, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    moments = page.locator(".moment")
    assert moments.count() == 5
    assert all(moment.is_visible() for moment in moments.all())
    assert not page.locator(".wipe input").first.is_visible()
    early, late = (page.locator(f".wipe .{when}").first.bounding_box() for when in ("early", "late"))
    assert early and late
    assert early["x"] + early["width"] <= late["x"]
    assert early["y"] == late["y"]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert overflow(page) == 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".settings").first.is_visible()


def test_without_scripts_both_pictures_are_there(report: Path, open_page: OpenPage) -> None:
    page = open_page(report, java_script_enabled=False)
    assert page.locator(".moment").count() == 5
    assert all(picture.is_visible() for picture in page.locator(".wipe img").all())
    assert not page.locator(".picker").is_visible()


def test_a_listener_is_told_what_there_is(report: Path, open_page: OpenPage) -> None:
    page = open_page(report)
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("svg:not([aria-label])").count() == 0
    assert page.locator("input:not([aria-label])").count() == 0
    levels = [
        int(name[1]) for name in page.locator("h1, h2, h3").evaluate_all("all => all.map(e => e.tagName)")
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def _share_before(page: Any) -> float:
    """How much of the first visible pair shows the picture before, by what is cut from it."""
    clip = page.locator(_BEFORE).evaluate("e => getComputedStyle(e).clipPath")
    right = clip.removeprefix("inset(").removesuffix(")").split()[1]
    if right == "0px":
        return 1.0
    share = right.removeprefix("calc(100% - ").removesuffix(")").removesuffix("%")
    return float(share) / 100 if right.startswith("calc") else 1 - float(share) / 100


def _contrast(page: Any, selector: str) -> float:
    """Contrast of an element's words and what lies behind them, as WCAG 2 defines it."""
    ink, paper = page.locator(selector).first.evaluate(
        """element => {
          const color = getComputedStyle(element).color;
          let behind = element;
          const clear = "rgba(0, 0, 0, 0)";
          while (getComputedStyle(behind).backgroundColor === clear) behind = behind.parentElement;
          return [color, getComputedStyle(behind).backgroundColor];
        }"""
    )
    lighter, darker = sorted((_luminance(ink), _luminance(paper)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    parts = [int(part) / 255 for part in color.removeprefix("rgb(").removesuffix(")").split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
