import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from stages.export.charts import Chart, Line, Plan
from stages.export.page import (
    Comparison,
    JointRow,
    Moment,
    OutputFile,
    Page,
    Picture,
    Slider,
    StageRow,
    Summary,
    Tile,
    write_page,
)
from tests.browser import OpenPage


@pytest.fixture
def page() -> Page:
    image = np.zeros((30, 20, 3), np.uint8)
    image[:, :, 0] = 200
    return Page(
        title="holiday.mp4",
        subtitle="48 pictures",
        summary=Summary("One avatar.", "It fits well.", ["Film the feet."]),
        tiles=[Tile("PSNR", "24.1 dB", "was 15.2 dB")],
        advice=["Film the back as well."],
        views=[Picture("Front", image)],
        coverage=Picture("Seen", image),
        sides_seen=[("Back", 3, 48)],
        first_frame=Picture("Frame 0", image),
        moments=[Moment("Frame 7", [Slider("Outline, 7", Picture("Early", image), Picture("Late", image))])],
        comparisons=[Comparison("Overlap", "0.81", "0.94", "higher is better")],
        charts=[
            Chart("Errors", "frame", [Line("pixels", range(10), range(10), "before")], logarithmic=False),
            Plan("From above", "right", "away", [Line("way", [0, 1], [0, 1], "after")]),
        ],
        joints=[JointRow("left elbow", "12.0°", 1.0, "30° in frame 4", "41 mm")],
        training=[
            Chart("Losses", "step", [Line("colour", range(10), np.linspace(1, 0.1, 10))], [(5, "joint")])
        ],
        stages=[
            StageRow("Decode", "ffmpeg", "1.2 s", 0.1, "90 MB", 1.0, [("frames", "48")], [("fps", "15")])
        ],
        command="hsplat-pipeline run holiday.mp4",
        versions=[("numpy", "2.4")],
        files=[OutputFile("avatar.ply", "the avatar", "1 MB", "a viewer")],
        more_formats=[("spz", "Gaussians, small")],
    )


class Collector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(path: Path) -> Collector:
    collector = Collector()
    collector.feed(path.read_text(encoding="utf-8"))
    return collector


def test_everything_given_is_on_the_page(tmp_path: Path, page: Page) -> None:
    write_page(tmp_path / "report.html", page)
    text = read(tmp_path / "report.html").text
    for words in (
        "holiday.mp4",
        "24.1 dB",
        "Film the back",
        "Frame 7",
        "0.94",
        "joint",
        "ffmpeg",
        "the avatar",
        "It fits well.",
        "Film the feet.",
        "3 of 48",
        "left elbow",
        "12.0°",
        "hsplat-pipeline run holiday.mp4",
        "2.4",
        "a viewer",
        "Gaussians, small",
    ):
        assert words in text


def test_the_page_asks_for_nothing_but_the_files_beside_it(tmp_path: Path, page: Page) -> None:
    write_page(tmp_path / "report.html", page)
    addresses = read(tmp_path / "report.html").addresses
    beside = [a for a in addresses if not a.startswith(("data:image/jpeg;base64,", "#"))]
    assert beside == ["avatar.ply"]
    style = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|<script .|<link|https?:", style)


def test_links_within_the_page_lead_somewhere(tmp_path: Path, page: Page) -> None:
    write_page(tmp_path / "report.html", page)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    targets = re.findall(r'href="#([^"]+)"', text)
    assert len(targets) > 5
    assert all(f'id="{target}"' in text for target in targets)


def test_the_policy_allows_the_page_s_own_script_only(tmp_path: Path, page: Page) -> None:
    write_page(tmp_path / "report.html", page)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    assert f"script-src 'sha256-{digest}'" in policy[1]
    assert "default-src 'none'" in policy[1]


def test_pictures_are_inlined_with_their_colours(page: Page) -> None:
    data = base64.b64decode(page.views[0].source.split(",", 1)[1])
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (30, 20, 3)
    assert decoded[15, 10] == pytest.approx([0, 0, 200], abs=4)


def test_hostile_names_stay_text(tmp_path: Path, page: Page) -> None:
    bad = '"><script>alert(1)</script>'
    hostile = replace(
        page,
        title=bad,
        views=[Picture(bad, page.views[0].image)],
        summary=Summary(bad, bad, [bad]),
        charts=[Chart(bad, bad, [Line(bad, [0, 1], [1, 2])], [(0, bad)], [(0, 1)], bad, summary=bad)],
        joints=[JointRow(bad, bad, 0.5, bad, bad)],
        command=bad,
        versions=[(bad, bad)],
        files=[OutputFile(bad, bad, bad, bad)],
    )
    write_page(tmp_path / "report.html", hostile)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("<script") == 1  # the page's own


def test_a_page_without_extras_is_still_a_page(tmp_path: Path, page: Page) -> None:
    bare = replace(
        page,
        summary=Summary("One avatar.", "It fits well.", []),
        advice=[],
        views=[],
        first_frame=None,
        moments=[],
        comparisons=[],
        charts=[],
        joints=[],
        training=[],
    )
    write_page(tmp_path / "report.html", bare)
    text = read(tmp_path / "report.html").text
    assert "Nothing stood out." in text
    assert "Before anything was trained" not in text


def test_names_of_options_stay_in_one_line(page: Page, tmp_path: Path, open_page: OpenPage) -> None:
    """At any width, though browsers break lines after dashes. The sentence is escaped all the same."""
    sentence = "Give it with --height <b> or, where known, --fetch-weights."
    summary = replace(page.summary, filming=[sentence])
    write_page(tmp_path / "report.html", replace(page, advice=[sentence], summary=summary))
    shown = open_page(tmp_path / "report.html")
    for place in (".advice li", ".summary li"):
        options = shown.locator(f"{place} code.option")
        assert options.all_inner_texts() == ["--height", "--fetch-weights"]
        assert shown.locator(place).inner_text() == sentence
        for width in range(200, 400, 7):
            shown.set_viewport_size({"width": width, "height": 800})
            assert options.evaluate_all("all => all.map(e => e.getClientRects().length)") == [1, 1]
