"""Networks' weights from files that may hold anything: only tensors come out, and only fitting ones."""

import pickle
import re
import types
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import InputError
from models.stub_pickle import Refused, Stub

ZIP = b"PK\3\4"
NAMED = 3  # tensors named in a message
REAL: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (set, frozenset)},
}
"""What makes tensors of a file's storages, and holds them; nothing else that a file names is called."""


def load_weights(network: nn.Module, path: Path, model: str, next_step: str) -> None:
    """Fills a network with the tensors of a file that torch saved.

    Args:
        model: what the network is called, for the messages.
        next_step: where the right file is to be had.

    Raises:
        InputError: the file cannot be read, holds anything but tensors, or those of another network.
    """
    state, wanted = read_tensors(path, model, next_step), network.state_dict()
    if unlike := difference(state, wanted):
        raise InputError(f"{path} does not hold the weights of {model}: {unlike}.", next_step)
    network.load_state_dict(state)


def read_tensors(path: Path, model: str, next_step: str) -> dict[str, Tensor]:
    """The tensors of a file that torch saved, by name, on the CPU. Nothing that the file names is run.

    Raises:
        InputError: the file cannot be read, or holds anything but named tensors.
    """
    try:
        refuse_program(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the pickle's age, before it is refused for what it holds
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(
            f"{path}, weights of {model}, cannot be read: {error.strerror}.",
            "Check that the file is there, and its permissions.",
        ) from error
    except MemoryError:
        raise
    except Refused as refused:
        raise InputError(f"{path} {refused}, not the weights of {model}.", next_step) from refused
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} is damaged, or holds objects other than tensors, which are not loaded.", next_step
        ) from error
    except Exception as error:  # torch, zipfile and pickle have many words for a damaged file
        raise InputError(f"{path} is damaged, cut off, or no file of weights at all.", next_step) from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path} does not hold the weights of {model} but something else.", next_step)
    return content


def load_stubbed(path: Path, known: str, purpose: str) -> Any:
    """What torch saved in a file, tensors as they are, and stubs for the objects around them.

    The tensors stay in the file until they are used.

    Args:
        known: pattern of the full names of classes that may be stubs.
        purpose: what the file should be, for messages: "network".

    Raises:
        Refused: it is cut off or none of torch's, or names what is not known.
        OSError: it cannot be read.
        Exception: it is damaged; torch, zipfile and pickle promise no particular type.
    """

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            full_name = f"{module}.{name}"
            if (module, name) in REAL:
                return REAL[module, name]
            if not re.fullmatch(known, full_name):
                raise Refused(f"asks for {full_name}, which no {purpose} needs")
            return type(name, (Stub,), {"kind": full_name})

    with path.open("rb") as stream:
        if not zipfile.is_zipfile(stream):
            raise Refused(f"is cut off, or no {purpose} that torch saved")
    refuse_program(path)
    module: Any = types.SimpleNamespace(Unpickler=Unpickler, __name__="restricted")
    return torch.load(path, map_location="cpu", pickle_module=module, weights_only=False, mmap=True)


def refuse_program(path: Path) -> None:
    """Keeps compiled programs from torch.load, which hands them to torch.jit.load, past every unpickler.

    torch's own reader judges, since zipfile may find another index in the same file.

    Raises:
        Refused: the file is one.
        OSError: it cannot be read.
        Exception: it is damaged.
    """
    with path.open("rb") as stream:
        if stream.read(len(ZIP)) != ZIP:
            return
    with torch.serialization._open_zipfile_reader(str(path)) as archive:
        if torch.serialization._is_torchscript_zip(archive):
            raise Refused("is a compiled program")


def difference(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """How a file's tensors differ from a network's; empty where they do not."""
    lacking = [name for name in wanted if name not in state]
    foreign = [str(name) for name in state if name not in wanted]
    other = [
        f"{name} is {_shape(state[name])} instead of {_shape(wanted[name])}"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    parts = [
        f"{len(lacking)} of {len(wanted)} tensors are missing ({_some(lacking)})" if lacking else "",
        f"{len(foreign)} belong to something else ({_some(foreign)})" if foreign else "",
        f"{len(other)} have another shape ({_some(other)})" if other else "",
    ]
    return "; ".join(part for part in parts if part)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
