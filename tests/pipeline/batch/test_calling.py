"""A call of `batch`, without worker processes."""

import errno
import os
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.batch import calling, crew, overview
from pipeline.batch.display import Lines
from pipeline.batch.events import Assignment
from tests.pipeline.conftest import Call


class Idlers:
    """A crew that ends at once; it notes whether the folder of its assignment was there."""

    at_work = False

    def __init__(self, count: int, assignment: Assignment) -> None:
        Idlers.found = assignment.locks is not None and assignment.locks.is_dir()

    def __enter__(self) -> "Idlers":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left open."""


@pytest.mark.parametrize(("gpus", "workers", "made"), [(0, 2, False), (1, 1, False), (1, 2, True)])
def test_a_folder_for_locks_is_made_only_where_workers_share_gpus(
    chain: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, workers: int, made: bool
) -> None:
    monkeypatch.setenv("FAKE_RENDERER", "gsplat")
    monkeypatch.setattr(calling.gpu, "count", lambda: gpus)
    monkeypatch.setattr(crew, "Crew", Idlers)
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_text(name)
    call = calling.Call(tmp_path, workers=workers)
    calling.run_batch(call, Lines(Console(file=(tmp_path / "said").open("w"))))
    assert Idlers.found is made


def test_the_summary_is_told_although_the_overview_cannot_be_written(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "a.mp4").write_text("a")
    (tmp_path / "clips" / "empty.mp4").touch()
    assert call("run", "clips/a.mp4", "--workspace", "clips/a.hsplat") == 0
    monkeypatch.setattr(overview, "_publish", full)
    capsys.readouterr()
    assert call("batch", "clips") == 1
    out, err = capsys.readouterr()
    assert "2 clips: 1 done (1 of them before), 1 failed" in out
    assert "cannot be written: No space left on device." in err
    assert "clips are done" not in err
    assert "Go on with: " in err
