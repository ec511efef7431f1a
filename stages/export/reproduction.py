"""The call that makes the same again."""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from stages.base import Settings

# Options of `run` for the files that a configuration names; every other key goes through --set.
_OPTIONS = {
    "poses.file": "--poses",
    "masks.file": "--masks",
    "depth.file": "--depth",
    "poses.body": "--body",
    "optimize.body": "--body",
    "export.body": "--body",
}


def command(video: str, settings: Mapping[str, Mapping[str, Any]], files: Mapping[str, str]) -> str:
    """The call of `run` that makes the same of the same video, every other setting at its default.

    Args:
        video: the clip's name.
        settings: by stage, as manifests hold them.
        files: names of the user's other files, by configuration key.
    """
    words = ["hsplat-pipeline", "run", video]
    for option, name in {_OPTIONS.get(key, key): name for key, name in files.items()}.items():
        words += [option, name] if option.startswith("--") else ["--set", f"{option}={name}"]
    changed = dict(_changed(settings))
    devices = {changed.get(f"{name}.device") for name, section in settings.items() if "device" in section}
    if len(devices) == 1 and (device := devices.pop()):
        words += ["--device", device]
        changed = {key: value for key, value in changed.items() if not key.endswith(".device")}
    for key, value in changed.items():
        shown = PurePath(value).name if isinstance(value, str) else json.dumps(value)
        words += ["--set", f"{key}={shown}"]
    return shlex.join(words)


def _changed(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Keys with dots, and their values, that differ from the defaults of the stages."""
    from stages import STAGES  # which names this package's stage

    for stage in STAGES:
        default = dict(_flat(_defaults(stage.settings), stage.name))
        for key, value in _flat(settings.get(stage.name, {}), stage.name):
            if key in default and default[key] != value:
                yield key, value


def _defaults(schema: type[Settings]) -> dict[str, Any]:
    """A section of the configuration where nobody set anything; keys that must be set are left out."""
    fields = schema.model_fields
    required = {name: None for name, field in fields.items() if field.is_required()}
    return schema.model_construct(**required).model_dump(mode="json", exclude=set(required))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}", value
