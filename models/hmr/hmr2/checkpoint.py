"""The released weights into the network: a checkpoint of Lightning's, of which only the tensors are used.

Beside the tensors it holds the training's settings as objects of other packages. They are read as things that
can do nothing, so neither those packages nor trust in the file is needed.
"""

import pickle
import re
import types
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.errors import InputError
from models.hmr.hmr2.network import RELEASED, Hmr2, Size
from models.stub_pickle import Refused

PARTS = ("backbone.", "smpl_head.")
"""What is used of a checkpoint; the rest are the body and the training's discriminator."""
REAL = {
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("collections", "OrderedDict"),
}
"""What makes tensors of a checkpoint's storages, and holds them; nothing else is called."""
INERT = (
    r"(yacs|omegaconf|pytorch_lightning|lightning|lightning_fabric|hmr2|torch|numpy|typing|pathlib|collections)\..+"
    r"|(builtins|__builtin__)\.(object|int|float|str|bool|bytes|dict|list|tuple|set|frozenset)"
)
LISTED = 3  # keys in a message
NEXT_STEP = "Get the released weights with: hsplat-pipeline weights fetch hmr2 --force"


class _Inert:
    """Stands for any object that is no tensor."""

    def __init__(self, *arguments: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, value: Any) -> None:
        """Lists are filled with this."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in REAL or (module == "torch" and name.endswith("Storage")):
            return super().find_class(module, name)
        if re.fullmatch(INERT, f"{module}.{name}"):
            return type(name, (_Inert,), {})
        raise Refused(f"asks for {module}.{name}, which no checkpoint of HMR 2.0 needs")


_PICKLE: Any = types.SimpleNamespace(Unpickler=_Unpickler, load=None, __name__=__name__)
"""What `torch.load` takes in the place of the module pickle."""


def load_network(path: Path, size: Size = RELEASED) -> Hmr2:
    """The network with the weights of a checkpoint, on the CPU, ready for inference.

    The tensors stay in the file until they are used, and are not copied.

    Raises:
        InputError: the file is no such checkpoint, is cut off, or cannot be read.
    """
    with torch.device("meta"):
        network = Hmr2(size)
    weights = _weights(path)
    _check(path, network.state_dict(), weights)
    network.load_state_dict(weights, assign=True)
    return network.eval().requires_grad_(False)


def _weights(path: Path) -> dict[str, Tensor]:
    """The tensors of the parts that are used, in single precision, by their keys."""
    try:
        with path.open("rb") as stream:
            whole = zipfile.is_zipfile(stream) and "constants.pkl" not in _members(path)
        if not whole:
            raise Refused("is cut off, or no checkpoint of PyTorch's")
        content = torch.load(path, "cpu", pickle_module=_PICKLE, weights_only=False, mmap=True)
    except Refused as refused:
        raise _refusal(path, str(refused)) from refused
    except OSError as error:
        raise InputError(
            f"The checkpoint {path} cannot be read: {error.strerror or error}.", "Make it readable."
        ) from error
    except Exception as error:
        # Damaged content may raise nearly anything in pickle, zipfile and torch.
        reason = str(error).split("\n")[0][:200]
        raise _refusal(path, f"is damaged ({type(error).__name__}: {reason})") from error
    tensors = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(tensors, dict):
        raise _refusal(path, "holds no weights")
    return {
        key: value.float()
        for key, value in tensors.items()
        if isinstance(key, str) and key.startswith(PARTS) and isinstance(value, Tensor)
    }


def _members(path: Path) -> set[str]:
    """The last parts of the names in the archive; compiled programs have constants."""
    with zipfile.ZipFile(path) as archive:
        return {name.rsplit("/", 1)[-1] for name in archive.namelist()}


def _check(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    if missing or unexpected:
        raise _refusal(
            path,
            "is of another network than HMR 2.0: "
            f"{_listed('missing', missing)}, {_listed('unexpected', unexpected)}",
        )
    for key, tensor in expected.items():
        if found[key].shape != tensor.shape:
            raise _refusal(
                path, f"has {key} of shape {tuple(found[key].shape)}, HMR 2.0's is {tuple(tensor.shape)}"
            )
        if not torch.isfinite(found[key]).all():
            raise _refusal(path, f"has {key} with values that are no numbers")


def _listed(what: str, keys: list[str]) -> str:
    if not keys:
        return f"no keys {what}"
    more = ", ..." if len(keys) > LISTED else ""
    return f"{len(keys)} keys {what} ({', '.join(keys[:LISTED])}{more})"


def _refusal(path: Path, problem: str) -> InputError:
    return InputError(f"The checkpoint {path} {problem}.", NEXT_STEP)
