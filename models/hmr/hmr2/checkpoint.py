"""The released weights into the network: a checkpoint of Lightning's, of which only the tensors are used.

Beside the tensors it holds the training's settings as objects of other packages. They are read as things that
can do nothing, so neither those packages nor trust in the file is needed.
"""

from pathlib import Path

import torch
from torch import Tensor

from models.checkpoints import difference, load_stubbed
from models.errors import InputError
from models.hmr.hmr2.network import RELEASED, Hmr2, Size
from models.stub_pickle import Refused

PARTS = ("backbone.", "smpl_head.")
"""What is used of a checkpoint; the rest are the body and the training's discriminator."""
KNOWN = (
    r"(yacs|omegaconf|pytorch_lightning|lightning|lightning_fabric|hmr2|torch|numpy|typing|pathlib|collections)\..+"
    r"|(builtins|__builtin__)\.(object|int|float|str|bool|bytes|dict|list|tuple)"
)
"""What the training's settings are made of."""
NEXT_STEP = "Get the released weights with: hsplat-pipeline weights fetch hmr2 --force"


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
        content = load_stubbed(path, KNOWN, "checkpoint of HMR 2.0")
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


def _check(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    if unlike := difference(found, expected):
        raise _refusal(path, f"is of another network than HMR 2.0: {unlike}")
    for key, tensor in found.items():
        if not torch.isfinite(tensor).all():
            raise _refusal(path, f"has {key} with values that are no numbers")


def _refusal(path: Path, problem: str) -> InputError:
    return InputError(f"The checkpoint {path} {problem}.", NEXT_STEP)
