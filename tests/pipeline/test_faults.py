"""Faults at every moment of a run, and damage to every file: nothing is lost or silently wrong."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.workspace import Workspace
from tests.pipeline import fakes
from tests.pipeline.conftest import Call
from tests.pipeline.faults import KINDS, Ended, Fault, call

STAGES = [stage.name for stage in fakes.FAKES]
CHANGED = ("--set", "poses.height=1.8")  # three stages done before are done again


@pytest.fixture
def clip(chain: None, video: Path, tmp_path: Path) -> Path:
    return video


class Trial:
    """A call, where it begins, and what it gives undisturbed."""

    def __init__(self, video: Path, before: tuple[str, ...] | None, options: tuple[str, ...]) -> None:
        self.folder = video.parent / "clip.hsplat"
        self.saved = video.parent / "saved"
        self.arguments = ["run", str(video), *options]
        if before is not None:
            assert call(["run", str(video), *before], self.folder).status == 0
            shutil.copytree(self.folder, self.saved)
        self.undisturbed = call(self.arguments, self.folder)
        assert self.undisturbed.status == 0, self.undisturbed.err
        self.results = results(self.folder)

    def begin(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.saved.exists():
            shutil.copytree(self.saved, self.folder)

    def disturb(self, fault: Fault) -> None:
        self.begin()
        check_end(ended := call(self.arguments, self.folder, fault), fault.kind)
        if ended.status != 0:
            assert ended.accesses == 0 or ended.accesses >= fault.moment
        self.check_mended(str(fault))

    def check_mended(self, what: str) -> None:
        """Whatever is published is whole, and the same call ends as if nothing had happened."""
        whole = {name for name in STAGES if manifest_of(self.folder, name)}
        again = call(self.arguments, self.folder)
        assert again.status == 0, f"{what}: {again.err}"
        assert "is done anew" not in again.err or self.saved.exists(), what
        assert results(self.folder) == self.results, what
        assert len(whole) < len(STAGES) or "up to date" in again.err or self.saved.exists(), what
        assert not [path.name for path in self.folder.iterdir() if path.name.startswith(".")], what


def manifest_of(folder: Path, name: str) -> bool:
    """Whether a stage is published; one that is half published raises Damaged."""
    try:
        return bool(Workspace(folder).manifest(name, verify=True))
    except FileNotFoundError:
        return False


def results(folder: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in folder.glob("*/result.txt")}


def check_end(ended: Ended, kind: str) -> None:
    """One clear message and the status that belongs to it; a refusal may come too late to matter."""
    expected = {"SIGKILL": {-9}, "SIGTERM": {143}, "SIGINT": {130}}.get(kind, {0, 1, 2})
    assert ended.status in expected, (kind, ended)
    assert "Traceback" not in ended.err, ended.err
    messages = [line for line in ended.err.splitlines() if line.startswith("Error: ")]
    assert len(messages) == (ended.status in (1, 2)), ended.err
    assert "unforeseen" not in ended.err, ended.err
    if kind != "SIGKILL" and ended.status not in (0, 2):
        assert "Go on with: " in ended.err, ended.err


SCENES = {"a new workspace": (None, ()), "a finished one": ((), CHANGED)}


@pytest.mark.parametrize("scene", SCENES)
def test_faults_at_some_moments(clip: Path, scene: str) -> None:
    trial, dice = Trial(clip, *SCENES[scene]), random.Random(scene)
    for kind in KINDS:
        trial.disturb(Fault(kind, dice.randint(1, trial.undisturbed.accesses)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scene", SCENES)
def test_kills_at_all_moments_and_other_faults_at_many(clip: Path, scene: str, kind: str) -> None:
    trial = Trial(clip, *SCENES[scene])
    first, step = (1, 1) if kind == "SIGKILL" else (1 + KINDS.index(kind), len(KINDS))
    for moment in range(first, trial.undisturbed.accesses + 1, step):
        trial.disturb(Fault(kind, moment))


@pytest.mark.parametrize("largest", [0, 50, 150, 700, 1500])
def test_a_file_that_may_not_grow(clip: Path, largest: int) -> None:
    trial = Trial(clip, None, ())
    trial.begin()
    check_end(call(trial.arguments, trial.folder, largest=largest), "EFBIG")
    trial.check_mended(f"at most {largest} bytes")


def flip(path: Path, dice: random.Random) -> None:
    """Changes one bit, and neither size nor time, as a failing disk does."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(path: Path, dice: random.Random) -> None:
    """Cuts the end off."""
    os.truncate(path, dice.randrange(path.stat().st_size))


FILES = (
    "workspace.json",
    "lock",
    "hashes.json",
    "masks/manifest.json",
    "masks/result.txt",
    "frames/result.txt",
)


def check_damage(
    call: Call,
    video: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    harm: Callable[..., None],
    times: int,
) -> None:
    folder, dice = video.parent / "clip.hsplat", random.Random(name)
    if not folder.exists():
        assert call("run", video) == 0
    whole = results(folder)
    for _ in range(times):
        before = (folder / name).read_bytes()
        harm(folder / name, dice)
        capsys.readouterr()
        status, said = call("run", video), capsys.readouterr().err
        assert status == 0, (before, said)
        assert "Traceback" not in said
        assert results(folder) == whole
        stage = name.partition("/")[0]
        assert (f"{stage} is done anew" in said) == ("/" in name), said
        assert json.loads((folder / "workspace.json").read_text())["video"] == str(video)


@pytest.mark.parametrize("harm", [flip, cut])
@pytest.mark.parametrize("name", FILES)
def test_damage_is_mended_or_told(
    call: Call, video: Path, capsys: pytest.CaptureFixture[str], name: str, harm: Callable[..., None]
) -> None:
    check_damage(call, video, capsys, name, harm, 2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("harm", [flip, cut])
@pytest.mark.parametrize("name", FILES)
def test_much_damage_is_mended_or_told(
    call: Call, video: Path, capsys: pytest.CaptureFixture[str], name: str, harm: Callable[..., None]
) -> None:
    check_damage(call, video, capsys, name, harm, 60)


def test_a_damaged_output_is_refused_by_commands_that_read_it(
    call: Call, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("run", video)
    flip(video.parent / "clip.hsplat" / "optimize" / "result.txt", random.Random(0))
    capsys.readouterr()
    assert call("status", "clip.hsplat", "--json") == 0
    states = {stage["stage"]: stage for stage in json.loads(capsys.readouterr().out)["stages"]}
    assert states["optimize"]["state"] == "damaged"
    assert states["optimize"]["reason"] == "optimize/result.txt was changed"


def test_an_input_damaged_during_the_run_is_not_read(
    call: Call,
    video: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    ran: Callable[[], list[str]],
) -> None:
    folder = video.parent / "clip.hsplat"
    assert call("run", video) == 0
    whole = results(folder)
    work = fakes.work

    def harmful(task: object) -> object:
        summary = work(task)  # type: ignore[arg-type]
        flip(folder / "frames" / "result.txt", random.Random(0))
        return summary

    table = [fakes.row(each.name, each.needs, each.settings) for each in fakes.FAKES]
    object.__setattr__(table[2], "run", harmful)
    monkeypatch.setattr("stages.STAGES", tuple(table))
    ran()
    assert call("run", video, *CHANGED) == 1
    said = capsys.readouterr().err
    assert f"{folder} is damaged: frames/result.txt was changed" in said
    assert "Go on with: " in said
    assert ran() == ["poses"]
    monkeypatch.setattr("stages.STAGES", fakes.FAKES)
    assert call("run", video) == 0
    assert results(folder) == whole
