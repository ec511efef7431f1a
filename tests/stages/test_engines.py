"""Which engine is taken, with and without its packages, weights and device."""

from pathlib import Path

import pytest

from models import gpu
from models.errors import InputError
from stages.engines import RealEngine, choose_engine, lack
from tests.made_up_weights import install

REAL = RealEngine("sam", ("json",), "sam_vit_b", "blazepose")
UNINSTALLED = RealEngine("sam", ("no_such_package",), "sam_vit_b", "blazepose")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path))


def test_auto_prefers_the_real_engine_where_it_can_run() -> None:
    assert choose_engine("auto", REAL) == "blazepose"
    install("sam_vit_b")
    assert choose_engine("auto", REAL) == "sam"
    assert choose_engine("auto", UNINSTALLED) == "blazepose"


def test_an_engine_by_name_is_taken_or_refused() -> None:
    assert choose_engine("blazepose", REAL, "cuda") == "blazepose"
    with pytest.raises(InputError, match="SAM ViT-B are not here") as refused:
        choose_engine("sam", REAL)
    assert "weights fetch sam_vit_b; or leave engine at auto, which then takes blazepose" in str(
        refused.value
    )
    install("sam_vit_b")
    assert choose_engine("sam", REAL) == "sam"
    with pytest.raises(InputError, match="no_such_package not installed") as refused:
        choose_engine("sam", UNINSTALLED)
    assert "make sync" in refused.value.next_step


def test_the_setting_that_asks_is_named() -> None:
    part = RealEngine("large", (), "blazepose_heavy", "small", setting="landmarks")
    with pytest.raises(InputError) as refused:
        choose_engine("large", part)
    assert "or leave landmarks at auto, which then takes small." in refused.value.next_step


def test_a_file_of_ones_own_needs_no_weights() -> None:
    assert lack(RealEngine("sam", ("json",), None, "blazepose")) is None


def test_cuda_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install("sam_vit_b")
    monkeypatch.setattr(gpu, "device", lambda: None)
    with pytest.raises(InputError, match="no usable CUDA device"):
        choose_engine("auto", REAL, "cuda")
    monkeypatch.setattr(gpu, "device", lambda: "H1")
    assert choose_engine("auto", REAL, "cuda") == "sam"
