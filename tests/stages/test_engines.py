"""Which engine is taken, with and without its packages, weights and device."""

from pathlib import Path

import pytest

from models import gpu
from models.errors import InputError
from stages.engines import RealEngine, choose_engine, lack
from tests.made_up_weights import install

REAL = RealEngine("sam", ("json",), "sam_vit_b")
UNINSTALLED = RealEngine("sam", ("no_such_package",), "sam_vit_b")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path))


def test_auto_prefers_the_real_engine_where_it_can_run() -> None:
    assert choose_engine("auto", REAL, "blazepose") == "blazepose"
    install("sam_vit_b")
    assert choose_engine("auto", REAL, "blazepose") == "sam"
    assert choose_engine("auto", UNINSTALLED, "blazepose") == "blazepose"


def test_an_engine_by_name_is_taken_or_refused() -> None:
    assert choose_engine("blazepose", REAL, "blazepose", "cuda") == "blazepose"
    with pytest.raises(InputError, match="SAM ViT-B are not here") as refused:
        choose_engine("sam", REAL, "blazepose")
    assert "weights fetch sam_vit_b" in refused.value.next_step
    install("sam_vit_b")
    assert choose_engine("sam", REAL, "blazepose") == "sam"
    with pytest.raises(InputError, match="no_such_package not installed") as refused:
        choose_engine("sam", UNINSTALLED, "blazepose")
    assert "make sync" in refused.value.next_step


def test_a_file_of_ones_own_needs_no_weights() -> None:
    assert lack(RealEngine("sam", ("json",), None)) is None


def test_cuda_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install("sam_vit_b")
    monkeypatch.setattr(gpu, "device", lambda: None)
    with pytest.raises(InputError, match="no usable CUDA device"):
        choose_engine("auto", REAL, "blazepose", "cuda")
    monkeypatch.setattr(gpu, "device", lambda: "H1")
    assert choose_engine("auto", REAL, "blazepose", "cuda") == "sam"
