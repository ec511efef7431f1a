"""Weights are read from files that may hold anything."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models.checkpoints import load_weights, read_tensors
from models.errors import InputError
from models.hmr.foreign.opening import contents
from models.hmr.hmr2 import load_network
from models.people.yolo_checkpoint import read_checkpoint

STATE = {"weight": torch.arange(3.0), "bias": torch.zeros(())}


class Trap:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {os.environ['TRAP']}",)


def test_named_tensors_are_read(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "w.pt")
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for name in ("w.pt", "old.pt"):
        found = read_tensors(tmp_path / name, "a model", "")
        assert found.keys() == STATE.keys()
        assert torch.equal(found["weight"], STATE["weight"])


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    return data[:-30] + b"\0" * 30


@pytest.mark.parametrize(
    "damage",
    [cut, flipped, lambda data: b"", lambda data: b"<html>404</html>", lambda data: b"version https://git"],
)
@pytest.mark.parametrize("new", [True, False])
def test_a_damaged_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes], new: bool) -> None:
    path = tmp_path / "w ü.pt"
    torch.save(STATE, path, _use_new_zipfile_serialization=new)
    data = damage(path.read_bytes())
    if not new and damage is flipped:
        pytest.skip("the old form has no index at its end")
    path.write_bytes(data)
    with pytest.raises(InputError) as refused:
        read_tensors(path, "a model", "Fetch it.")
    assert "w ü.pt" in refused.value.problem
    assert refused.value.next_step == "Fetch it."


@pytest.mark.parametrize("plain", [True, False])
def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: bool) -> None:
    path, mark = tmp_path / "trap.pt", tmp_path / "sprung"
    monkeypatch.setenv("TRAP", str(mark))
    content = {"weight": Trap()}
    if plain:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    with pytest.raises(InputError, match=r"trap\.pt is damaged, or holds objects other than tensors"):
        read_tensors(path, "a model", "")
    assert not mark.exists()


@pytest.mark.parametrize("content", [torch.ones(2), [torch.ones(2)], {"epoch": 3, "state_dict": STATE}])
def test_tensors_without_names_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(InputError, match="does not hold the weights of a model but something else"):
        read_tensors(tmp_path / "w.pt", "a model", "")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.pt.* cannot be read: No such file"):
        read_tensors(tmp_path / "none.pt", "a model", "")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_tensors(tmp_path, "a model", "")


def test_a_network_is_filled(tmp_path: Path) -> None:
    source, target = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    load_weights(target, tmp_path / "w.pt", "a model", "")
    assert torch.equal(source.weight, target.weight)


def test_what_does_not_fit_is_told_and_nothing_loaded(tmp_path: Path) -> None:
    target = torch.nn.Linear(2, 3)
    before = target.weight.clone()
    torch.save({"weight": torch.ones(3, 5), "scale": torch.ones(())}, tmp_path / "w.pt")
    with pytest.raises(InputError) as refused:
        load_weights(target, tmp_path / "w.pt", "a model", "")
    assert refused.value.problem.endswith(
        "1 of 2 tensors are missing (bias); 1 belong to something else (scale); "
        "1 have another shape (weight is 3x5 instead of 3x2)."
    )
    assert torch.equal(target.weight, before)


def program(path: Path) -> Path:
    """A file that torch.load takes for a compiled program, by the member that tells one."""
    torch.save(STATE, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].split('/')[0]}/constants.pkl", b"")
    return path


def disguised(path: Path) -> Path:
    """The same with a second, harmless index, which zipfile takes: it is next to the file's end."""
    content = program(path).read_bytes()
    end = content.rindex(b"PK\5\6")
    size, start = (int.from_bytes(content[end + at : end + at + 4], "little") for at in (12, 16))
    index = content[start : start + size]
    path.write_bytes(content[:end] + index.replace(b"constants.pkl", b"harmless__pkl") + content[end:])
    with zipfile.ZipFile(path) as archive:
        assert not any("constants" in name for name in archive.namelist())
    return path


READERS: dict[str, Callable[[Path], object]] = {
    "sam": lambda path: load_weights(torch.nn.Linear(2, 3), path, "a model", "Fetch it."),
    "yolo": read_checkpoint,
    "hmr2": load_network,
    "poses": contents,
}


@pytest.mark.parametrize("make", [program, disguised])
@pytest.mark.parametrize("reader", READERS)
def test_a_compiled_program_never_reaches_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, make: Callable[[Path], Path]
) -> None:
    called: list[object] = []
    for module in (torch, torch.jit):
        monkeypatch.setattr(module, "load", lambda *given, **options: called.append(given))
    path = make(tmp_path / "program.pt")
    with pytest.raises(InputError, match=r"program\.pt.* is a compiled program"):
        READERS[reader](path)
    assert called == []
