"""Facts as strict JSON, which knows neither NaN nor infinity; and the versions that they rest on."""

import json
import math
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("hsplat-pipeline", "torch", "gsplat", "numba", "mediapipe", "luigi", "numpy", "av")


def finite(value: Any) -> Any:
    """The same dictionaries and lists with None in place of every number that is none."""
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [finite(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a file of it; a number that is none is an error."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def versions() -> Iterator[tuple[str, str]]:
    """Name and version of Python and of the packages that decide what comes out."""
    yield "python", platform.python_version()
    for name in _PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "missing"
