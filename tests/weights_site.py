"""Fixtures: a cache of one's own, and a web site that has the weights."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.weights import TABLE, Remote
from tests.server import Site, serving

CONTENT = np.random.default_rng(0).bytes(3_000_000)

Publish = Callable[..., None]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HSPLAT_WEIGHTS", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(Site({})) as running:
        yield running


@pytest.fixture
def publish(site: Site, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Has the site offer a row's files, and the row point there."""

    def make(key: str, content: bytes = CONTENT, hashed: bool = True) -> None:
        row = TABLE[key]
        remotes = []
        for remote in row.remotes:
            site.files[remote.name] = content
            sha256 = hashlib.sha256(content).hexdigest() if hashed else ""
            remotes.append(Remote(f"{site.address}/{remote.name}", len(content), sha256))
        monkeypatch.setitem(TABLE, key, replace(row, remotes=tuple(remotes)))

    return make
