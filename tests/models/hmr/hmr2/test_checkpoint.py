"""Checkpoints: the released form is read, everything else is refused by name, and nothing in it runs."""

import os
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.errors import InputError
from models.hmr.hmr2 import load_network
from tests.models.hmr.hmr2.tiny import TINY, checkpoint, tiny_network


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def test_the_released_form_is_read(tmp_path: Path) -> None:
    network = tiny_network()
    (tmp_path / "good.ckpt").write_bytes(checkpoint(network))
    loaded = load_network(tmp_path / "good.ckpt", TINY)
    assert not loaded.training
    images = torch.randn(2, 3, 256, 192)
    for ours, theirs in zip(loaded(images), network(images), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_weights_in_half_precision_are_read_as_single(tmp_path: Path) -> None:
    path = tmp_path / "half.ckpt"
    path.write_bytes(checkpoint(tiny_network().half()))
    assert {tensor.dtype for tensor in load_network(path, TINY).state_dict().values()} == {torch.float32}


def test_settings_of_other_packages_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a node of yacs: a dictionary with a state; a list and an object of omegaconf's."""
    made = {}
    for module, name, base in (
        ("yacs.config", "CfgNode", dict),
        ("omegaconf.listconfig", "ListConfig", list),
        ("omegaconf.base", "Metadata", object),
    ):
        made[name] = type(name, (base,), {"__module__": module})
        home = types.ModuleType(module)
        setattr(home, name, made[name])
        for part in (module.split(".")[0], module):
            monkeypatch.setitem(sys.modules, part, home if part == module else types.ModuleType(part))
    node = made["CfgNode"](A=made["CfgNode"](x=1), B=made["ListConfig"]([1, 2]))
    node.__dict__["__immutable__"] = made["Metadata"]()
    path = tmp_path / "with settings.ckpt"
    path.write_bytes(checkpoint(tiny_network(), hyper_parameters={"cfg": node}))
    for module in [name for name in sys.modules if name.split(".")[0] in ("yacs", "omegaconf")]:
        monkeypatch.delitem(sys.modules, module)
    load_network(path, TINY)


class Evil:
    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_in_a_checkpoint_runs(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for function, arguments, name in (
        (os.mkdir, (str(trace),), "posix.mkdir"),
        (eval, (f"__import__('os').mkdir({str(trace)!r})",), r"(__builtin__|builtins)\.eval"),
        (torch.load, (str(trace),), None),
    ):
        path = tmp_path / "evil.ckpt"
        path.write_bytes(checkpoint(tiny_network(), hyper_parameters=Evil(function, *arguments)))
        if name is None:  # of a package whose objects are expected: it stands for nothing, and is not called
            load_network(path, TINY)
        else:
            with pytest.raises(InputError, match=name) as caught:
                load_network(path, TINY)
            assert "evil.ckpt" in caught.value.problem
        assert not trace.exists()


def changed(**tensors: torch.Tensor | None) -> dict[str, torch.Tensor]:
    weights = {**tiny_network().state_dict(), **tensors}
    return {name: tensor for name, tensor in weights.items() if tensor is not None}


NAN = torch.full((3,), torch.nan)
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "sam": (
        lambda: {"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)},
        r"tensors are missing \(backbone",
    ),
    "lacking": (
        lambda: changed(**{"smpl_head.deccam.bias": None}),
        r"1 of \d+ tensors are missing \(smpl_head.deccam.bias\)",
    ),
    "more": (
        lambda: changed(**{"smpl_head.decface.weight": torch.zeros(3)}),
        r"HMR 2.0: 1 belong to something else \(smpl_head.decface.weight\)",
    ),
    "shape": (
        lambda: changed(**{"backbone.last_norm.bias": torch.zeros(16)}),
        r"backbone.last_norm.bias is 16 instead of 32",
    ),
    "nan": (lambda: changed(**{"smpl_head.deccam.bias": NAN}), "deccam.bias with values that are no numbers"),
    "list": (lambda: [torch.zeros(3)], "holds no weights"),
    "numbers": (lambda: {"state_dict": 3}, "holds no weights"),
    "network": (tiny_network, "asks for models.hmr"),
}


@pytest.mark.parametrize("which", WRONG)
def test_other_weights_are_refused(tmp_path: Path, which: str) -> None:
    make, complaint = WRONG[which]
    with pytest.raises(InputError, match=complaint) as caught:
        load_network(saved(tmp_path / "wrong.ckpt", make()), TINY)
    assert "wrong.ckpt" in caught.value.problem
    assert "weights fetch hmr2" in caught.value.next_step


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_damaged_files_are_refused(tmp_path: Path) -> None:
    good = checkpoint(tiny_network())
    script = tmp_path / "script.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(script))
    contents = {
        "empty.ckpt": b"",
        "cut.ckpt": good[: len(good) // 2],
        "text.ckpt": b"version https://git-lfs.github.com/spec/v1\n",
        "pickle.ckpt": pickle.dumps({"state_dict": {}}),
        "overwritten.ckpt": good[:200] + bytes(3000) + good[3200:],
        "script.pt": script.read_bytes(),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            load_network(tmp_path / name, TINY)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.ckpt", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load_network(path, TINY)
