"""The command `weights`, and the weights that a run wants."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import stages
from models import weights
from models.errors import InputError, StageError
from models.weights import TABLE
from models.weights.download import Progress
from pipeline.config import closest
from pipeline.console import size
from pipeline.lock import Lock
from stages.base import Settings

Show = Callable[[str], AbstractContextManager[Progress]]


def rows() -> list[tuple[str, ...]]:
    """The table of weights for a person, with what is here of it."""
    head = ("name", "model", "", "download", "SHA-256", "licence", "for")
    return [
        head,
        *((w.key, w.model, _state(w), _size(w), _hash(w), w.licence, w.purpose) for w in TABLE.values()),
    ]


def facts() -> list[dict[str, object]]:
    """The same for programs."""
    return [
        {
            "name": row.key,
            "model": row.model,
            "path": str(path) if (path := weights.find(row.key)) else None,
            "licence": row.licence,
            "purpose": row.purpose,
            "page": row.page,
            "files": [{"address": r.address, "size": r.size, "sha256": r.sha256} for r in row.remotes],
        }
        for row in TABLE.values()
    ]


def _state(row: weights.Weights) -> str:
    return "here" if weights.find(row.key) else "" if row.remotes else "by hand"


def _size(row: weights.Weights) -> str:
    return size(row.size) if row.remotes else "-"


def _hash(row: weights.Weights) -> str:
    """What the download is compared with: the published hash, or that of the first one on this machine."""
    published = next((remote.sha256 for remote in row.remotes if remote.sha256), "")
    return f"{published[:8]}..." if published else "first use"


def fetch(keys: Sequence[str], show: Show, force: bool = False) -> list[Path]:
    """Downloads weights by their names, one after the other, and says where they are.

    Args:
        show: makes the progress for a model's name, for as long as it is entered.
        force: download anew what is there.

    Raises:
        InputError: there are no such weights, or they are to be had by hand only.
        StageError: see `models.weights.fetch`.
    """
    for key in keys:
        _known(key)
    paths = []
    with _locked():
        for key in keys:
            with show(TABLE[key].model) as progress:
                paths.append(weights.fetch(key, progress, force))
    return paths


def add(source: Path, key: str | None, show: Show, force: bool = False) -> weights.Weights:
    """Takes a file of the user's into the cache; see `models.weights.add`."""
    if key is not None:
        _known(key)
    with _locked(), show(source.name) as progress:
        return weights.add(source, progress, key, force)


def wanted(configuration: Settings, names: Collection[str]) -> list[str]:
    """The weights that these stages would use with this configuration if they were here."""
    keys = []
    for stage in (stage for stage in stages.STAGES if stage.name in names):
        settings = getattr(configuration, stage.name)
        for network in stage.networks(settings):
            asked = getattr(settings, network.setting)
            if network.weights is not None and asked in ("auto", network.name):
                keys += [] if weights.find(network.weights) else [network.weights]
    return list(dict.fromkeys(keys))


def _known(key: str) -> None:
    if key not in TABLE:
        raise InputError(
            f"There are no weights {key!r}{closest(key, TABLE)}", f"There are: {', '.join(TABLE)}."
        )


@contextmanager
def _locked() -> Iterator[None]:
    """One process at a time fills the cache."""
    folder = weights.folder()
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(Lock(folder / "lock", "Wait until it has ended."))
        except OSError as error:
            raise StageError(
                f"The cache {folder} cannot be written: {error.strerror}.",
                "Make it writable, or set HSPLAT_WEIGHTS to a folder that you may write.",
            ) from error
        yield
