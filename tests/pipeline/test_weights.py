"""The command `weights` and `run --fetch-weights`, with a server on this machine."""

import json
import os
import signal
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from models import weights
from models.weights import TABLE
from pipeline import config, transfers
from pipeline import weights as weights_command
from pipeline.lock import Lock
from pipeline.transfers import transfer
from tests.made_up_weights import install
from tests.pipeline.conftest import Call
from tests.server import Site
from tests.weights_site import CONTENT, Publish, cache, publish, site

__all__ = ["cache", "publish", "site"]

Ran = Callable[[], list[str]]
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_cache(cache: Path) -> None:
    """See `cache`."""


def test_the_list_says_what_is_here(call: Call, capsys: Output) -> None:
    install("yolo11n")
    assert call("weights", "list") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines.keys() == {"name", *TABLE}
    assert " here " in lines["yolo11n"] and "AGPL-3.0" in lines["yolo11n"] and "0ebbc80d" in lines["yolo11n"]
    assert " here " not in lines["hmr2"] and "first use" in lines["hmr2"]
    assert "by hand" in lines["smpl_male"]


def test_the_list_for_programs(call: Call, capsys: Output) -> None:
    install("yolo11n")
    assert call("weights", "list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["yolo11n"]["path"] == str(weights.require("yolo11n"))
    assert rows["hmr2"]["path"] is None
    assert rows["sam_vit_b"]["files"][0]["size"] == 375_042_383


def test_fetch_says_where_they_are(call: Call, capsys: Output, publish: Publish) -> None:
    publish("yolo11n")
    publish("sam_vit_b")
    assert call("weights", "fetch", "yolo11n", "sam_vit_b") == 0
    paths = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]


def test_an_unknown_name_is_told_before_anything_is_fetched(
    call: Call, capsys: Output, publish: Publish, site: Site
) -> None:
    publish("yolo11n")
    assert call("weights", "fetch", "yolo11n", "sam_vit_bb") == 2
    assert "did you mean 'sam_vit_b'?" in capsys.readouterr().err
    assert call("weights", "add", "file", "--as", "yolo") == 2
    capsys.readouterr()
    assert call("weights", "fetch", "nope") == 2
    assert "There are no weights 'nope'.\nThere are: " in capsys.readouterr().err
    assert site.asked == []


def test_a_failed_fetch_ends_with_the_call_to_go_on(
    call: Call, capsys: Output, publish: Publish, site: Site
) -> None:
    publish("yolo11n")
    site.cut = 1000
    assert call("weights", "fetch", "yolo11n") == 1
    told = capsys.readouterr().err
    assert "broke off after 1000 of 3000000 bytes" in told
    assert told.rstrip().endswith("weights fetch yolo11n")
    assert "Traceback" not in told


def test_a_file_is_taken_or_refused(call: Call, capsys: Output, tmp_path: Path, publish: Publish) -> None:
    publish("yolo11n")
    (tmp_path / "y.pt").write_bytes(CONTENT)
    assert call("weights", "add", "y.pt") == 0
    assert "yolo11n: YOLO11 n, for detect" in capsys.readouterr().out
    assert call("weights", "add", "none.pt") == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_two_at_a_time_are_refused(call: Call, capsys: Output, publish: Publish) -> None:
    publish("yolo11n")
    weights.folder().mkdir()
    with Lock(weights.folder() / "lock"):
        assert call("weights", "fetch", "yolo11n") == 2
    told = capsys.readouterr().err
    assert "is in use by" in told and "--workspace" not in told


def test_a_cache_that_cannot_be_made(call: Call, capsys: Output) -> None:
    weights.folder().write_text("")
    assert call("weights", "fetch", "yolo11n") == 1
    assert "HSPLAT_WEIGHTS" in capsys.readouterr().err


def test_a_run_downloads_only_when_asked_to(
    call: Call, video: Path, ran: Ran, publish: Publish, site: Site, tmp_path: Path
) -> None:
    publish("sam_vit_b")
    assert call("run", video, "--until", "masks") == 0
    assert site.asked == []
    assert call("run", video, "--until", "masks", "--fetch-weights") == 0
    assert [name for name, _ in site.asked] == ["sam_vit_b_01ec64.pth"]
    assert json.loads((tmp_path / "clip.hsplat/masks/manifest.json").read_text())["engine"] == "net"
    assert call("run", video, "--until", "masks", "--fetch-weights") == 0
    assert len(site.asked) == 1


def test_a_run_fetches_nothing_for_engines_that_are_not_wanted(
    call: Call, video: Path, publish: Publish, site: Site
) -> None:
    publish("sam_vit_b")
    own = video.parent / "masks"
    own.mkdir()
    for option in ("masks.engine=embedded", f"masks.file={own}"):
        assert call("run", video, "--until", "masks", "--fetch-weights", "--set", option) == 0
    assert site.asked == []


def test_both_networks_of_a_stage_are_wanted(video: Path) -> None:
    def wanted(*assignments: str, preset: str = "default") -> list[str]:
        return weights_command.wanted(config.load(video, preset, None, assignments), ["detect"])

    assert wanted() == ["yolo11n", "blazepose_heavy"]
    assert wanted("detect.engine=blazepose") == ["blazepose_heavy"]
    assert wanted("detect.landmarks=full") == wanted(preset="fast") == ["yolo11n"]
    install("blazepose_heavy")
    assert wanted() == ["yolo11n"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("none.mp4",), "none.mp4 cannot be read"),
        (("clip.mp4", "--until", "mask"), "There is no stage 'mask'; did you mean 'masks'?\n"),
        (("clip.mp4", "--redo", "dept"), "There is no stage 'dept'"),
    ],
)
def test_a_mistyped_call_fetches_nothing(
    call: Call,
    capsys: Output,
    video: Path,
    publish: Publish,
    site: Site,
    arguments: tuple[str, ...],
    told: str,
) -> None:
    publish("sam_vit_b")
    assert call("run", *arguments, "--fetch-weights") == 2
    assert told in capsys.readouterr().err
    assert site.asked == []


def test_a_run_fetches_nothing_for_stages_that_it_does_not_do(
    call: Call, video: Path, publish: Publish, site: Site
) -> None:
    publish("sam_vit_b")
    assert call("run", video, "--until", "frames", "--fetch-weights") == 0
    assert site.asked == []


def test_ctrl_c_leaves_what_has_come(
    call: Call, capsys: Output, publish: Publish, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish("yolo11n")

    def interrupt(done: int, total: int, note: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(transfers, "_lines", lambda console, name: interrupt)
    assert call("weights", "fetch", "yolo11n") == 130
    assert "Go on with" in capsys.readouterr().err
    assert list((weights.folder() / ".downloads/yolo11n").iterdir())


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_on_terminals_and_in_files(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "QUIET_SECONDS", 0.0)
    text = StringIO()
    with transfer(Console(file=text, force_terminal=terminal, width=120), "SAM ViT-B") as told:
        told(2**20, 2**22, "")
        told(2**22, 2**22, "verifying")
    shown = text.getvalue()
    assert "SAM ViT-B" in shown and "verifying" in shown
    assert ("4.0/4.0 MiB" if terminal else "downloading, 1 MiB of 4 MiB") in shown
