"""pipeline -> stages -> models, never upward."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "models": {"stages", "pipeline", "luigi", "typer", "rich"},
    "stages": {"pipeline", "luigi", "typer", "rich"},
    "pipeline": set(),
}


def imported_packages(source: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_layer_imports_only_downward(layer: str) -> None:
    sources = list((ROOT / layer).rglob("*.py"))
    assert sources
    upward = {str(source): bad for source in sources if (bad := imported_packages(source) & FORBIDDEN[layer])}
    assert not upward
