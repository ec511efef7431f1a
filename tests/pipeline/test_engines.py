"""What the pipeline does with a stage's network: fingerprints, the GPU's resource, the manifest."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from models import gpu
from pipeline import chain, config
from pipeline.chain import plan
from pipeline.hashing import Hashes
from tests.made_up_weights import install
from tests.pipeline.conftest import Call

Ran = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def masks(tmp_path: Path, *assignments: str) -> chain.Step:
    video = tmp_path / "clip.mp4"
    steps = plan(config.load(video, "default", None, assignments), Hashes(tmp_path / "hashes.json"))
    return next(step for step in steps if step.stage.name == "masks")


def test_new_weights_do_their_stage_and_what_follows_anew(
    call: Call, video: Path, ran: Ran, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    install("sam_vit_b")
    assert call("run", video) == 0
    ran()
    assert call("run", video) == 0
    assert ran() == []
    install("sam_vit_b", b"another")
    assert call("run", video) == 0
    assert ran() == ["masks", "optimize", "export"]
    assert "masks is done anew: its weights changed" in capsys.readouterr().err
    manifest = json.loads((tmp_path / "clip.hsplat/masks/manifest.json").read_text())
    assert list(manifest["weights"]) == ["sam_vit_b"]
    assert manifest["engine"] == "net"


def test_weights_that_come_or_go_change_the_engine(
    call: Call, video: Path, ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", video) == 0
    ran()
    install("sam_vit_b")
    assert call("run", video) == 0
    assert ran() == ["masks", "optimize", "export"]
    assert "engine net instead of embedded" in capsys.readouterr().err


def test_weights_that_were_exchanged_end_the_run_before_any_work(
    call: Call, video: Path, ran: Ran, capsys: pytest.CaptureFixture[str], cache: Path
) -> None:
    install("sam_vit_b")
    (cache / "sam_vit_b/sam_vit_b_01ec64.pth").write_bytes(b"trojans")
    assert call("run", video) == 2
    assert "is not what was put there" in capsys.readouterr().err
    assert ran() == []


def test_an_engine_by_name_without_weights_ends_the_run(
    call: Call, video: Path, ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", video, "--set", "masks.engine=net") == 2
    assert "weights fetch sam_vit_b" in capsys.readouterr().err
    assert ran() == []


def test_a_network_takes_the_gpu_where_there_is_one(
    chain: None, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "device", lambda: "H1")
    assert not masks(tmp_path).uses_gpu  # the embedded engine
    install("sam_vit_b")
    assert masks(tmp_path).uses_gpu
    assert not masks(tmp_path, "masks.device=cpu").uses_gpu
    monkeypatch.setattr(gpu, "device", lambda: None)
    assert not masks(tmp_path).uses_gpu


def test_the_landmark_network_belongs_to_the_fingerprint(tmp_path: Path, video: Path) -> None:
    def steps(*assignments: str) -> dict[str, chain.Step]:
        planned = plan(config.load(video, "default", None, assignments), Hashes(tmp_path / "hashes.json"))
        return {step.stage.name: step for step in planned}

    def outdated(before: dict[str, chain.Step], after: dict[str, chain.Step]) -> set[str]:
        return {name for name in before if before[name].fingerprint != after[name].fingerprint}

    without, full = steps(), steps("detect.landmarks=full")
    assert (without["detect"].engine, without["detect"].weights) == ("blazepose", {})
    install("blazepose_heavy")
    with_it = steps()
    assert (with_it["detect"].engine, list(with_it["detect"].weights)) == (
        "blazepose+heavy",
        ["blazepose_heavy"],
    )
    assert outdated(without, with_it) == set(chain.downstream("detect"))
    assert not with_it["detect"].uses_gpu
    assert not outdated(full, steps("detect.landmarks=full"))
    install("blazepose_heavy", b"another")
    assert outdated(with_it, steps()) == set(chain.downstream("detect"))


def test_the_gpus_memory_is_recorded_and_given_back(
    call: Call,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(gpu, "peak_memory", lambda: 3 * 2**30)
    monkeypatch.setattr(gpu, "release", lambda: calls.append("release"))
    monkeypatch.setattr(gpu, "forget_peak_memory", lambda: calls.append("forget"))
    assert call("run", video, "--until", "detect") == 0
    assert calls == ["forget", "release"] * 2
    manifest = json.loads((tmp_path / "clip.hsplat/detect/manifest.json").read_text())
    assert manifest["peak_gpu_memory"] == 3 * 2**30
    assert "3.0 GiB of the GPU's" in capsys.readouterr().err
