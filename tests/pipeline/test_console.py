"""What a person sees."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from pipeline import console
from pipeline.chain import State, Step
from pipeline.console import duration, reporter, size, table
from pipeline.workspace import Manifest, now
from tests.pipeline.fakes import FAKES, ExportSettings, MasksSettings

MASKS = Step(FAKES[3], MasksSettings(), "embedded", {}, {})
EXPORT = Step(FAKES[5], ExportSettings(), "embedded", {}, {})


def manifest(**changes: object) -> Manifest:
    facts = {
        "stage": "masks", "version": 1, "engine": "embedded", "settings": {}, "files": {}, "needs": {},
        "fingerprint": "", "finished": now(), "seconds": 75.2, "peak_memory": 3 * 2**29,
        "summary": {}, "outputs": {},
    }  # fmt: skip
    return Manifest.model_validate(facts | changes)


def shown(terminal: bool) -> str:
    stream = io.StringIO()
    with reporter(Console(file=stream, force_terminal=terminal, width=120, color_system=None)) as told:
        told.planned([State(MASKS, "out of date", "masks.[folder] changed"), State(EXPORT, "done")])
        told.started(MASKS)
        told.progress(MASKS, 1, 2, "halfway [there]")
        told.finished(MASKS, manifest(summary={"warnings": ["two [frames] were dark"]}))
    return stream.getvalue()


def test_plain_lines_where_nobody_watches() -> None:
    assert shown(terminal=False).splitlines() == [
        "masks is done anew: masks.[folder] changed",
        "up to date: export",
        "masks: do masks (embedded)",
        "masks: done, 75 s, 1.5 GiB of memory",
        "masks: note: two [frames] were dark",
    ]


def test_bars_on_a_terminal() -> None:
    text = shown(terminal=True)
    assert "masks is done anew: masks.[folder] changed" in text
    assert "75 s, 1.5 GiB of memory" in text
    assert "up to date" in text
    assert "100 %" in text
    assert "masks: note: two [frames] were dark" in text


def test_a_failure_leaves_the_bar_where_it_stood() -> None:
    stream = io.StringIO()
    with (
        pytest.raises(ValueError, match="bug"),
        reporter(Console(file=stream, force_terminal=True, width=120)) as told,
    ):
        told.planned([State(MASKS, "missing")])
        told.started(MASKS)
        told.progress(MASKS, 1, 4)
        raise ValueError("bug")
    assert "25 %" in stream.getvalue()


def test_a_long_stage_says_now_and_then_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 31.0, 32.0, 80.0, 81.0, 160.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    lines = console.Lines(Console(file=stream))
    lines.started(MASKS)
    for done in (1, 2, 40, 41, 80):
        lines.progress(MASKS, done, 100)
    assert stream.getvalue().splitlines()[1:] == [
        "masks: 1 %",
        "masks: 40 %, about 2 min left",
        "masks: 80 %, about 40 s left",
    ]


def test_outputs_with_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = {"size": 1, "mtime_ns": 1, "sha256": ""}
    made = manifest(
        outputs={"a.ply": output, "report.html": output}, summary={"files": {"report.html": "the report"}}
    )
    assert console.outputs(tmp_path / "export", made) == "export/report.html  the report"
    bare = manifest(outputs={"a.ply": output})
    assert console.outputs(Path("/elsewhere"), bare) == "/elsewhere"


def test_columns_are_aligned() -> None:
    assert table([("a", "bb", "c"), ("aaa", "b", "")]) == "a    bb  c\naaa  b"
    assert table([]) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (42.4, "42 s"), (150, "2 min"), (7200, "2.0 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(2**20, "1 MiB"), (5 * 2**29, "2.5 GiB")])
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text
