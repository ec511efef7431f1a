"""Weights that are none, put into the cache as if they had been fetched."""

import hashlib
from dataclasses import replace
from importlib import util
from pathlib import Path

import pytest

from models.weights import TABLE, Remote, require
from models.weights.cache import installing


def install(key: str, content: bytes = b"numbers") -> None:
    """Fills a row's place in the cache with files of that content."""
    row = TABLE[key]
    with installing(row, "test") as home:
        for name in row.files:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(content)


def pin(patch: pytest.MonkeyPatch, key: str, content: bytes) -> None:
    """Has the table say that a row's first file is published with that content."""
    row = TABLE[key]
    first = Remote(row.remotes[0].address, len(content), hashlib.sha256(content).hexdigest())
    patch.setitem(TABLE, key, replace(row, remotes=(first, *row.remotes[1:])))


def install_full_as_heavy(patch: pytest.MonkeyPatch) -> Path:
    """Puts the landmark network of mediapipe's wheel where the heavy one goes; says where it is."""
    spec = util.find_spec("mediapipe")
    assert spec is not None and spec.origin is not None
    full = Path(spec.origin).parent / "modules/pose_landmark/pose_landmark_full.tflite"
    pin(patch, "blazepose_heavy", full.read_bytes())
    install("blazepose_heavy", full.read_bytes())
    return require("blazepose_heavy")
