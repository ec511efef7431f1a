"""Reads the networks that ultralytics publishes without running anything that their files contain.

They are pickles of whole Python objects. Here every class becomes a stub that remembers its state, and the
tensors are taken out of that; the network itself is built from the definition that ultralytics brings along.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from models.checkpoints import load_stubbed
from models.errors import InputError
from models.stub_pickle import Refused, Stub

NEXT_STEP = "Get one with: hsplat-pipeline weights fetch yolo11n"
FAMILIES = r"(yolov8|yolo11|yolo12|yolo26)([nsmlx])\.yaml"
# What these hold becomes a stub; there is nothing else in a network and the notes on its training.
KNOWN = r"(ultralytics|torch|numpy|pathlib|datetime|collections|argparse|types)\..+|_codecs\.encode"


@dataclass(frozen=True)
class Checkpoint:
    """A detection network of ultralytics'.

    Attributes:
        definition: the name of the definition that it was built from, such as "yolo11n.yaml".
        names: of its classes, by number.
        state: its tensors by name, float32.
    """

    definition: str
    names: dict[int, str]
    state: dict[str, Tensor]

    @property
    def person(self) -> int:
        """The number of the class of people."""
        return next(number for number, name in self.names.items() if name == "person")


def read_checkpoint(path: Path) -> Checkpoint:
    """The network in a file that ultralytics saved.

    Raises:
        InputError: the file cannot be read, is cut off, holds another kind of network or anything else, or a
            network that does not know people.
    """
    try:
        return _checkpoint(load_stubbed(path, KNOWN, "network"))
    except Refused as refused:
        raise InputError(f"The weights {path}: the file {refused}.", NEXT_STEP) from refused
    except OSError as error:
        raise InputError(
            f"The weights {path} cannot be read: {error.strerror or error}.",
            "Check the path and its permissions.",
        ) from error
    except Exception as error:  # damaged content may raise nearly anything in torch, pickle and zipfile
        raise InputError(
            f"The weights {path}: the file is damaged or cut off ({type(error).__name__}).", NEXT_STEP
        ) from error


def _checkpoint(content: Any) -> Checkpoint:
    if not isinstance(content, dict):
        raise Refused("holds no network of ultralytics'")
    network = content.get("ema") or content.get("model")
    if not isinstance(network, Stub) or not isinstance(network.state, dict):
        raise Refused(f"holds no network of ultralytics' but {_listed(content)}")
    if network.kind != "ultralytics.nn.tasks.DetectionModel":
        raise Refused(f"holds {network.kind}, which finds no boxes")
    names = {int(number): str(name) for number, name in dict(network.state["names"]).items()}
    if "person" not in names.values():
        raise Refused(f"holds a network that does not know people but {_listed(names.values())}")
    definition = str(dict(network.state["yaml"]).get("yaml_file", ""))
    if not re.fullmatch(FAMILIES, Path(definition).name):
        raise Refused(f"was built from {definition or 'an unnamed definition'}, which is not supported")
    return Checkpoint(Path(definition).name, names, {k: v.float() for k, v in _tensors(network, "")})


def _tensors(module: Stub, prefix: str) -> list[tuple[str, Tensor]]:
    """What the module's `state_dict` would give."""
    state = module.state
    temporary = state.get("_non_persistent_buffers_set") or ()
    own = {
        **state["_parameters"],
        **{n: b for n, b in state["_buffers"].items() if n not in _items(temporary)},
    }
    found = [(prefix + name, value.detach()) for name, value in own.items() if isinstance(value, Tensor)]
    for name, child in state["_modules"].items():
        if isinstance(child, Stub):
            found += _tensors(child, f"{prefix}{name}.")
    return found


def _items(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, set | tuple | list | frozenset) else ()


def _listed(values: Any) -> str:
    shown = [str(value)[:40] for value in list(values)[:4]]
    return ", ".join(shown) + (", ..." if len(values) > len(shown) else "")
