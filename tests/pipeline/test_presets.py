"""The presets that ship, against the real stages."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import config

CONFIGS = Path(__file__).parent.parent.parent / "configs"


def leaves(values: dict[str, Any], prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, value in values.items():
        found |= leaves(value, (*prefix, name)) if isinstance(value, dict) else {(*prefix, name): value}
    return found


def defaults() -> dict[tuple[str, ...], Any]:
    """What the schema says where nobody says anything; the video, which every call names, left out."""
    values = config.schema().model_validate({"frames": {"video": "clip.mp4"}}).model_dump(mode="json")
    del values["frames"]["video"]
    return leaves(values)


def preset(name: str) -> dict[tuple[str, ...], Any]:
    return leaves(yaml.safe_load((CONFIGS / f"{name}.yaml").read_text("utf-8")))


def test_default_lists_every_key_with_the_schemas_value() -> None:
    assert preset("default") == defaults()


def test_every_key_of_default_is_explained() -> None:
    lines = (CONFIGS / "default.yaml").read_text("utf-8").splitlines()
    bare = [line for line in lines if line.strip() and "#" not in line and not line.rstrip().endswith(":")]
    assert not bare


@pytest.mark.parametrize("name", ["fast", "quality"])
def test_the_other_presets_hold_only_differences(name: str) -> None:
    known = defaults()
    values = preset(name)
    assert values
    assert not {key for key, value in values.items() if key not in known or known[key] == value}


@pytest.mark.parametrize("name", config.presets())
def test_every_preset_loads(name: str) -> None:
    assert config.load(Path("clip.mp4"), name)


def test_every_option_stands_for_keys_that_exist() -> None:
    known = {".".join(key) for key in config.keys(config.schema())}
    assert not {key for keys in config.OPTIONS.values() for key in keys} - known
