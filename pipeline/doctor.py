"""What this machine has and lacks, and the command that mends each."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

import psutil

import stages
from models import gpu
from pipeline.console import size
from stages.engines import lack

_SYNC = "make sync"  # installs every package of the lock file
_DISK = 2 * 2**30  # bytes; a long clip's workspace with its pictures
_MEMORY = 3 * 2**30  # bytes; what the default preset may need
_MODELS = ("lap", "segment-anything", "smplx", "torchvision", "transformers", "ultralytics")
_LANDMARK_FILES = ("pose_detection/pose_detection.tflite", "pose_landmark/pose_landmark_full.tflite")


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: what.
        state: "ok"; "missing" where nothing works without it; "absent" where something else takes its place.
        detail: what was found, or what its absence means.
        mend: the command that mends it; empty where it is there.
    """

    name: str
    state: str
    detail: str
    mend: str = ""


def examine(folder: Path) -> list[Check]:
    """Looks at this machine, and at the disk of a folder in which workspaces are to lie."""
    return [
        Check("python", "ok", sys.version.split()[0]),
        _ffmpeg(),
        *_packages(),
        _landmarks(),
        _body(),
        *_graphics(),
        *_extras(),
        *_engines(),
        _disk(folder),
        _memory(),
    ]


def rows(checks: list[Check]) -> list[tuple[str, str, str]]:
    """The checks as a table's rows."""
    return [(c.name, c.state, c.detail + (f"; mend it with: {c.mend}" if c.mend else "")) for c in checks]


def _ffmpeg() -> Check:
    if path := shutil.which("ffmpeg"):
        return Check("ffmpeg", "ok", path)
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return Check("ffmpeg", "ok", get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        return Check("ffmpeg", "missing", str(error), "sudo apt-get install ffmpeg")


def _packages() -> Iterator[Check]:
    """The packages without which no run ends."""
    for name in ("torch", "numba", "mediapipe", "av"):
        version = _version(name)
        yield Check(name, "ok", version) if version else Check(name, "missing", "not installed", _SYNC)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _landmarks() -> Check:
    """The weights of the embedded engines lie in mediapipe's wheel."""
    mend = "rm -rf .venv && make sync"
    spec = util.find_spec("mediapipe")
    if spec is None or spec.origin is None:
        return Check("weights", "missing", "they come with mediapipe", _SYNC)
    folder = Path(spec.origin).parent / "modules"
    lacking = [name for name in _LANDMARK_FILES if not (folder / name).is_file()]
    if lacking:
        return Check("weights", "missing", f"mediapipe lacks {', '.join(lacking)}", mend)
    return Check("weights", "ok", "those of the embedded engines, with mediapipe")


def _body() -> Check:
    try:
        from models.body import load_embedded_body

        load_embedded_body()
        return Check("body", "ok", "the embedded one")
    except Exception as error:  # whatever is wrong with it, it is not usable
        return Check(
            "body", "missing", f"the embedded one cannot be loaded: {error}", "git checkout models/body/data"
        )


def _graphics() -> Iterator[Check]:
    """The graphics card, and the rasteriser that runs on it alone."""
    card, lack = gpu.device(), gpu.lack()
    version = _version("gsplat")
    without = "optimize runs on the CPU"
    if card is not None:
        yield Check("CUDA", "ok", card)
    elif lack is not None:
        yield Check("CUDA", "absent", f"{lack.problem}, {without}", lack.mend)
    if version is None:
        yield Check("gsplat", "absent", f"not installed, {without}", _SYNC)
    elif card is not None and lack is not None:
        yield Check("gsplat", "absent", f"{lack.problem}, {without}", lack.mend)
    else:
        yield Check("gsplat", "ok", version if card else f"{version}, idle without CUDA")


def _extras() -> Iterator[Check]:
    """The packages of the real models."""
    for name in _MODELS:
        version = _version(name)
        if version:
            yield Check(name, "ok", version)
        else:
            yield Check(name, "absent", "the embedded engines take its place", _SYNC)


def _engines() -> Iterator[Check]:
    """The real engines of every stage that has some, as the default settings want them."""
    for stage in stages.STAGES:
        networks = stage.networks(stage.settings()) if stage.real else []  # frames has no default settings
        for network in networks:
            name = f"{stage.name}: {network.name}"
            if lacking := lack(network):
                detail = f"{lacking.problem}, {network.embedded} takes its place"
                yield Check(name, "absent", detail, lacking.mend)
            else:
                yield Check(name, "ok", "packages and weights are here")


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(folder).free
    detail = f"{size(free)} free in {folder}"
    if free < _DISK:
        return Check(
            "disk", "missing", f"{detail}, {size(_DISK)} needed", "du -sh *.hsplat, and delete what you can"
        )
    return Check("disk", "ok", detail)


def _memory() -> Check:
    free = psutil.virtual_memory().available
    if free < _MEMORY:
        return Check(
            "memory", "missing", f"{size(free)} free, {size(_MEMORY)} needed", "close other programs"
        )
    return Check("memory", "ok", f"{size(free)} free")
