"""Opening: nothing that a file names runs, damaged and oversized files end with a message."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from models.errors import InputError
from models.hmr.foreign import opening
from models.hmr.foreign.opening import contents, is_foreign
from models.hmr.foreign.people import plain_numbers
from tests.models.hmr.foreign.made_up import camera, walker, wham_content, write_gvhmr


class Evil:
    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


WRITERS: dict[str, Callable[[Any, Path], Any]] = {
    "joblib": joblib.dump,
    "packed": lambda content, path: joblib.dump(content, path, compress=3),
    "pickle": lambda content, path: path.write_bytes(pickle.dumps(content)),
    "npy": lambda content, path: np.save(path.open("wb"), content),
    "torch": lambda content, path: torch.save(content, path),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_nothing_in_a_file_runs(tmp_path: Path, writer: str) -> None:
    trace = tmp_path / "trace"
    for function, arguments, name in (
        (os.mkdir, (str(trace),), "posix.mkdir"),
        (eval, (f"__import__('os').mkdir({str(trace)!r})",), r"asks for .*eval,"),
        (joblib.load, (str(trace),), "joblib.numpy_pickle.load"),
    ):
        path = tmp_path / "evil"
        WRITERS[writer]({"pose": Evil(function, *arguments)}, path)
        assert is_foreign(path)
        with pytest.raises(InputError, match=name) as caught:
            contents(path)
        assert str(path) in caught.value.problem
        assert not trace.exists()


def test_evil_inside_an_array_of_objects(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    joblib.dump({"pose": np.array([Evil(os.mkdir, str(trace))], dtype=object)}, tmp_path / "evil")
    with pytest.raises(InputError, match=r"posix\.mkdir"):
        contents(tmp_path / "evil")
    assert not trace.exists()


@pytest.mark.parametrize("writer", WRITERS)
def test_numbers_of_all_kinds_come_through(tmp_path: Path, writer: str) -> None:
    values: dict[str, Any] = {
        "single": np.arange(6, dtype=np.float32).reshape(2, 3),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "whole": np.arange(3),
        "empty": np.zeros((0, 3)),
        "scalar": np.float32(2.5),
        "number": 3,
        "list": [1, 2.5],
        "tensor": torch.arange(6.0).reshape(2, 3).T,
    }
    if writer == "torch":  # which takes no numbers of numpy's
        values = {name: torch.as_tensor(value) if name != "list" else value for name, value in values.items()}
    WRITERS[writer](values, tmp_path / "file")
    found = contents(tmp_path / "file")
    for name, value in values.items():
        np.testing.assert_array_equal(plain_numbers(found[name]), np.asarray(value), err_msg=name)


def test_damaged_files(tmp_path: Path) -> None:
    joblib.dump(wham_content({1: walker(20)}), tmp_path / "plain")
    joblib.dump(wham_content({1: walker(20)}), tmp_path / "packed", compress=3)
    write_gvhmr(tmp_path / "torch", walker(20), camera(300))
    for name in ("plain", "packed", "torch"):
        good = (tmp_path / name).read_bytes()
        for damaged in (good[: len(good) // 2], good[:60], good[:100] + bytes(400) + good[500:]):
            path = tmp_path / f"damaged {name}"
            path.write_bytes(damaged)
            if is_foreign(path):
                with pytest.raises(InputError, match="damaged"):
                    contents(path)


def test_files_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LARGEST", 50_000)
    zeros = {"pose": np.zeros(100_000)}
    for compress in (0, 3, ("gzip", 3), ("xz", 3)):
        joblib.dump(zeros, tmp_path / "large", compress=compress)
        with pytest.raises(InputError, match="holds more than"):
            contents(tmp_path / "large")


def test_other_files_are_not_foreign(tmp_path: Path) -> None:
    np.savez(tmp_path / "motion.npz", poses=np.zeros(3))
    (tmp_path / "text").write_text("none")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("motion.npz", "text", "empty", "absent"):
        assert not is_foreign(tmp_path / name)
