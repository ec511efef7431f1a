"""What the doctor finds, with and without each thing."""

import shutil
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import psutil
import pytest

from models import gpu
from pipeline import doctor
from pipeline.doctor import Check, examine
from tests.made_up_weights import install

Room = namedtuple("Room", "free")
Memory = namedtuple("Memory", "available")


def named(name: str) -> Check:
    return next(check for check in examine(Path.cwd()) if check.name == name)


def test_everything_is_looked_at() -> None:
    names = {check.name for check in examine(Path.cwd())}
    assert {"ffmpeg", "CUDA", "gsplat", "weights", "body", "disk", "memory", "smplx", "torch"} <= names


def test_here_nothing_needed_is_missing() -> None:
    lacking = [check for check in examine(Path.cwd()) if check.state == "missing"]
    assert [check.name for check in lacking if check.name not in ("disk", "memory")] == []


def test_what_is_not_ok_says_what_mends_it() -> None:
    assert all(check.mend for check in examine(Path.cwd()) if check.state != "ok")


def test_a_missing_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", none)
    assert (named("ffmpeg").state, named("ffmpeg").mend) == ("missing", "sudo apt-get install ffmpeg")


@pytest.mark.parametrize(("name", "state"), [("numba", "missing"), ("smplx", "absent"), ("gsplat", "absent")])
def test_a_missing_package(monkeypatch: pytest.MonkeyPatch, name: str, state: str) -> None:
    real = metadata.version

    def version(distribution: str) -> str:
        if distribution == name:
            raise metadata.PackageNotFoundError(name)
        return real(distribution)

    monkeypatch.setattr(metadata, "version", version)
    assert named(name).state == state
    assert named(name).mend


def test_a_missing_toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "device", lambda: "H1")
    monkeypatch.setattr(gpu, "lack", lambda: gpu.Lack("no toolkit is found", "install CUDA 1.2"))
    assert named("CUDA").state == "ok"
    assert (named("gsplat").state, named("gsplat").mend) == ("absent", "install CUDA 1.2")


def test_lacking_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_LANDMARK_FILES", ("pose/none.tflite",))
    assert named("weights").state == "missing"
    assert "pose/none.tflite" in named("weights").detail


def test_a_damaged_body(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> None:
        raise ValueError("not a zip file")

    monkeypatch.setattr("models.body.load_embedded_body", damaged)
    assert named("body").state == "missing"
    assert "not a zip file" in named("body").detail


@pytest.mark.parametrize(("free", "state"), [(10 * 2**20, "missing"), (100 * 2**30, "ok")])
def test_room_on_the_disk(monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Room(free))
    assert named("disk").state == state


@pytest.mark.parametrize(("free", "state"), [(10 * 2**20, "missing"), (100 * 2**30, "ok")])
def test_room_in_memory(monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(free))
    assert named("memory").state == state


def test_real_engines_with_what_they_lack(
    chain: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path))
    check = named("masks: net")
    assert (check.state, check.mend) == ("absent", "hsplat-pipeline weights fetch sam_vit_b")
    assert "embedded takes its place" in check.detail
    install("sam_vit_b")
    assert named("masks: net").state == "ok"


def test_the_landmark_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path))
    check = named("detect: heavy")
    assert (check.state, check.mend) == ("absent", "hsplat-pipeline weights fetch blazepose_heavy")
    assert "BlazePose heavy are not here, full takes its place" in check.detail
    install("blazepose_heavy")
    assert named("detect: heavy").state == "ok"
