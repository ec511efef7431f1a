"""Real clips on several machines: three calls, a real luigid, a killed worker, a scheduler started again."""

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from pipeline.workspace import Workspace
from stages import STAGES
from stages.video import ffmpeg_executable
from tests.e2e.conftest import CLIP, OPTIONS, ROOT
from tests.pipeline.batch.luigid import Luigid

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

CLIPS = 12
DONE = re.compile(r" pipeline\.chain: (\w+): done in ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Clips of a second and a half, each another part of the example."""
    place = tmp_path / "clips"
    place.mkdir()
    for number in range(CLIPS):
        part = ["-ss", f"{0.1 * number:.1f}", "-t", "1.5", "-vf", "scale=240:-2"]
        subprocess.run(
            [ffmpeg_executable(), "-v", "error", "-i", CLIP, *part, "-an", place / f"clip{number:02}.mp4"],
            check=True,
        )
    return place


def at_work(folder: Path, stage: str) -> Path:
    """Waits until some clip is in a stage; gives its workspace."""
    for _ in range(12_000):
        for partial in folder.glob(f"*.hsplat/.{stage}.partial"):
            return partial.parent
        time.sleep(0.05)
    pytest.fail(f"no clip came to {stage}")


def test_every_clip_ends_complete_exactly_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "luigid").mkdir()
    luigid = Luigid(tmp_path / "luigid")
    luigid.start()
    command = [sys.executable, "-m", "pipeline", "batch", str(folder), *OPTIONS, "--workers", "1"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    machines = [
        subprocess.Popen([*command, "--scheduler", luigid.address], cwd=ROOT, **pipes) for _ in range(3)
    ]
    try:
        workspace = Workspace(at_work(folder, "optimize"))
        holder = workspace.running
        assert holder is not None
        psutil.Process(holder["pid"]).send_signal(signal.SIGKILL)
        time.sleep(1)
        luigid.stop()
        luigid.start()
        said = [machine.communicate(timeout=3000)[0] for machine in machines]
    finally:
        luigid.stop()
        for machine in machines:
            machine.kill()
    for machine, text in zip(machines, said, strict=True):
        assert machine.returncode == 0, text
        assert f"{CLIPS} clips: {CLIPS} done, 0 failed" in text
    for place in sorted(folder.glob("*.hsplat")):
        logs = "".join(log.read_text() for log in (place / "logs").iterdir())
        assert Counter(DONE.findall(logs)) == {stage.name: 1 for stage in STAGES}, place
        assert (place / "thumbnail.jpg").is_file()
    assert len(list(folder.glob("*.hsplat"))) == CLIPS
    assert not list(folder.glob("*.hsplat/.*.partial"))
