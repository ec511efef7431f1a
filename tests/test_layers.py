"""pipeline -> stages -> models, never upward."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "models": {"stages", "pipeline", "configs", "luigi", "typer", "rich"},
    "stages": {"pipeline", "configs", "luigi", "typer", "rich"},
    "pipeline": set(),
}


def imported_packages(text: str, package: tuple[str, ...]) -> set[str]:
    """The top-level packages that a module of `package` imports; relative imports may climb out of it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            path = (*base, *(node.module or "").split("."))
            names |= {path[0]} if path[0] else {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import pipeline.run, os", {"pipeline", "os"}),
        ("from pipeline.run import run_clip", {"pipeline"}),
        ("from . import errors", {"models"}),
        ("from ..errors import InputError", {"models"}),
        ("from ...pipeline.run import run_clip", {"pipeline"}),
        ("from ... import pipeline", {"pipeline"}),
    ],
)
def test_every_kind_of_import_is_seen(text: str, found: set[str]) -> None:
    assert imported_packages(text, ("models", "avatar")) == found


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_layer_imports_only_downward(layer: str) -> None:
    sources = list((ROOT / layer).rglob("*.py"))
    assert sources
    upward = {}
    for source in sources:
        package = source.parent.relative_to(ROOT).parts
        if bad := imported_packages(source.read_text(), package) & FORBIDDEN[layer]:
            upward[str(source)] = bad
    assert not upward
