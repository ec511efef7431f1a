"""The fake chain in place of the real one, and calls of the command line on it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import stages
from pipeline import config
from pipeline.__main__ import main
from tests.pipeline import fakes

ROOT = Path(__file__).parent.parent.parent

Call = Callable[..., int]


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The fake chain, its presets, and a folder of its own to run in."""
    monkeypatch.setattr(stages, "STAGES", fakes.FAKES)
    monkeypatch.setattr(config, "PRESETS", fakes.PRESETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAKE_NOTES", str(tmp_path / "notes"))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"not really a video")
    return path


@pytest.fixture
def call(chain: None, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Calls the command line in this process; gives its exit status."""

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["hsplat-pipeline", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    return run


@pytest.fixture
def ran(tmp_path: Path) -> Callable[[], list[str]]:
    """The stages that ran since the last question."""
    notes = tmp_path / "notes"

    def told() -> list[str]:
        lines = notes.read_text("utf-8").splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return [line.removeprefix("ran ") for line in lines if line.startswith("ran ")]

    return told


@pytest.fixture
def start(chain: None, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line with the fake chain in a process of its own."""

    def popen(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.pipeline.fakes", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return popen
