"""summary.csv and index.html: complete, escaped, nobody else's file replaced."""

import csv
from pathlib import Path

import av
import numpy as np
import pytest

from models.errors import InputError
from pipeline.batch import overview
from pipeline.batch.clips import Clip, Shard
from pipeline.batch.failures import Failure
from pipeline.batch.outcomes import Outcome
from tests.browser import OpenPage, overflow, wait_until

NASTY = '<script>alert("1")</script> & 100 %#?.mp4'


@pytest.fixture
def outcomes(tmp_path: Path) -> list[Outcome]:
    good = tmp_path / "good 1#.hsplat"
    (good / "export").mkdir(parents=True)
    (good / "export" / "report.html").write_text("<title>the report</title>")
    film(good / "export" / "avatar.mp4")
    measures = {"held_out": {"fitted poses": {"psnr": 24.51234, "ssim": 0.9, "iou": 0.95}}}
    nobody = Failure(stage="detect", problem="Nobody <i>there</i>.")
    return [
        Outcome(
            Clip("good 1#.mp4", tmp_path / "good 1#.mp4", good),
            "done",
            seconds={"frames": 2.0, "export": 8.04},
            finished="2026-01-01",
            figures=measures,
        ),
        Outcome(Clip(NASTY, tmp_path / "x", tmp_path / "x.hsplat"), "failed", nobody),
        Outcome(Clip("=1+1.mp4", tmp_path / "y", tmp_path / "y.hsplat"), "failed", nobody),
    ]


def film(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(5):
            picture = av.VideoFrame.from_ndarray(np.full((64, 96, 3), (200, 60, 30), np.uint8), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def test_the_table(outcomes: list[Outcome], tmp_path: Path) -> None:
    overview.write(tmp_path, outcomes)
    with (tmp_path / "summary.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    expected = {"psnr": "24.5123", "seconds": "10.0", "report": "good 1#.hsplat/export/report.html"}
    assert {name: rows[0][name] for name in expected} == expected
    assert rows[1]["clip"] == NASTY
    assert rows[1]["stage"] == "detect"
    assert rows[2]["clip"] == "'=1+1.mp4"  # spreadsheets compute what begins with =


def test_parts_of_a_folder_have_their_own_files(outcomes: list[Outcome], tmp_path: Path) -> None:
    assert overview.write(tmp_path, outcomes, Shard(2, 3)) == tmp_path / "index-2-of-3.html"
    assert (tmp_path / "summary-2-of-3.csv").is_file()


@pytest.mark.parametrize("name", ["index.html", "summary.csv"])
def test_others_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="was not written by this program"):
        overview.refuse_place(tmp_path, None)
    overview.refuse_place(tmp_path, Shard(1, 2))


def test_a_picture_is_made_once_and_anew_when_the_result_is_newer(
    outcomes: list[Outcome], tmp_path: Path
) -> None:
    picture = outcomes[0].clip.folder / "thumbnail.jpg"
    overview.write(tmp_path, outcomes)
    before = picture.stat().st_mtime_ns
    overview.write(tmp_path, outcomes)
    assert picture.stat().st_mtime_ns == before
    film(outcomes[0].clip.folder / "export" / "avatar.mp4")
    overview.write(tmp_path, outcomes)
    assert picture.stat().st_mtime_ns > before


def test_a_broken_video_only_costs_the_picture(outcomes: list[Outcome], tmp_path: Path) -> None:
    (outcomes[0].clip.folder / "export" / "avatar.mp4").write_text("no video")
    assert "no picture" in overview.write(tmp_path, outcomes).read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(
    outcomes: list[Outcome], tmp_path: Path, open_page: OpenPage, complaints: list[str], scheme: str
) -> None:
    path = overview.write(tmp_path, outcomes)
    page = open_page(path, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    assert page.locator("li").count() == 3
    assert NASTY in page.locator("li.failed").first.inner_text()
    assert page.locator("script").count() == 0
    page.locator("img").scroll_into_view_if_needed()  # it is loaded when it comes near
    wait_until(page, "document.querySelector('img').complete")
    assert page.locator("img").evaluate("image => image.naturalWidth") == 480
    assert not overflow(page)
    page.get_by_role("link", name="good 1#.mp4").click()
    assert page.title() == "the report"
    assert not complaints
