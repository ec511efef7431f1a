"""What gsplat needs, with each thing missing in turn."""

import shutil
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path

import pytest
import torch

from models import gpu


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with a device and gsplat, whose folder this is, but neither kernels nor a toolkit."""
    spec = ModuleSpec("gsplat", None, origin=str(tmp_path / "gsplat" / "__init__.py"))
    (tmp_path / "gsplat").mkdir()
    monkeypatch.setattr(gpu, "device", lambda: "H1")
    monkeypatch.setattr(gpu.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(gpu, "DEFAULT_TOOLKIT", tmp_path / "usr")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "gsplat"


def compiler(home: Path) -> None:
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "nvcc").touch(mode=0o755)


def problem() -> str:
    lack = gpu.lack()
    return lack.problem if lack else ""


def test_without_a_driver_there_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(gpu.ctypes, "CDLL", missing)
    assert gpu.device() is None
    assert "no usable CUDA device" in problem()


def test_without_the_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu.util, "find_spec", lambda name: None)
    assert "gsplat is not installed" in problem()


def test_without_a_toolkit_its_version_is_named(package: Path) -> None:
    lack = gpu.lack()
    assert lack is not None
    assert "no CUDA toolkit" in lack.problem
    assert "install the CUDA toolkit of torch's version (12.8)" in lack.mend


@pytest.mark.parametrize("variable", ["CUDA_HOME", "CUDA_PATH", ""])
def test_a_toolkit_is_found_by_its_folder(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    home = tmp_path / "cuda" if variable else tmp_path / "usr"
    if variable:
        monkeypatch.setenv(variable, str(home))
    assert "no CUDA toolkit" in problem()
    compiler(home)
    assert not problem()


def test_a_toolkit_is_found_on_the_path(package: Path, tmp_path: Path) -> None:
    compiler(tmp_path)
    assert shutil.which("nvcc") == str(tmp_path / "bin" / "nvcc")
    assert not problem()


def test_kernels_that_came_with_the_wheel_need_no_toolkit(package: Path) -> None:
    (package / f"csrc{EXTENSION_SUFFIXES[0]}").touch()
    assert not problem()
