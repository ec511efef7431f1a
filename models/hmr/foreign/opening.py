"""Opens the files in which other programs keep poses, without running anything that they contain.

Pickles, as joblib writes them (compressed or not, with arrays inside the stream) and as numpy does in .npy
files; and archives of torch. A class that none of these needs is refused by name.
"""

import bz2
import collections
import gzip
import io
import lzma
import pickle
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from models.checkpoints import refuse_program
from models.errors import InputError
from models.hmr.foreign.people import NEXT_STEP
from models.stub_pickle import PLAIN, Known, Refused, Stub, find_stub, plain_array

LARGEST = 4 * 2**30
"""Bytes of a file's content, unpacked; hours of several people with all their vertices."""


def _unzlib(content: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(content, LARGEST)
    if unpacker.unconsumed_tail:
        raise Refused(TOO_LARGE)
    if not unpacker.eof:
        raise Refused("is cut off")
    return unpacked


def _unpacked_by(opened: Callable[[io.BytesIO], Any]) -> Callable[[bytes], bytes]:
    def unpack(content: bytes) -> bytes:
        with opened(io.BytesIO(content)) as stream:
            unpacked = stream.read(LARGEST + 1)
        if len(unpacked) > LARGEST:
            raise Refused(TOO_LARGE)
        return unpacked

    return unpack


TOO_LARGE = f"holds more than {LARGEST // 2**30} GiB"
NPY, ZIP = b"\x93NUMPY", b"PK"
PACKED: dict[bytes, Callable[[bytes], bytes]] = {
    **{bytes([0x78, level]): _unzlib for level in (0x01, 0x5E, 0x9C, 0xDA)},
    b"\x1f\x8b": _unpacked_by(lambda stream: gzip.GzipFile(fileobj=stream)),
    b"BZh": _unpacked_by(bz2.BZ2File),
    b"\xfd7zXZ": _unpacked_by(lzma.LZMAFile),
    b"\x5d\x00": _unpacked_by(lzma.LZMAFile),
}
"""How compressed files begin, and what unpacks them."""
PICKLED = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


def is_foreign(path: Path) -> bool:
    """Whether a file may be another program's, judged by how it begins; folders are."""
    if path.is_dir():
        return True
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            if start.startswith(ZIP):
                return zipfile.is_zipfile(stream) and _is_torch(path)
    except (OSError, zipfile.BadZipFile):
        return False
    return start.startswith((*PACKED, *PICKLED, NPY))


def contents(path: Path) -> Any:
    """What a file holds: dictionaries and lists of numbers, texts, stubs of arrays, and tensors.

    Raises:
        InputError: it cannot be read, is damaged, too large, or names what no such file needs.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise Refused(TOO_LARGE)
        with path.open("rb") as stream:
            start = stream.read(8)
        if start.startswith(ZIP):
            refuse_program(path)
            return torch.load(path, "cpu", weights_only=True)
        return _unpickled(path.read_bytes())
    except Refused as refused:
        raise InputError(f"The poses {path}: the file {refused}.", NEXT_STEP) from refused
    except OSError as error:
        raise InputError(f"The poses {path} cannot be read: {error.strerror or error}.", NEXT_STEP) from error
    except MemoryError as error:
        raise InputError(f"The poses {path} do not fit into memory.", NEXT_STEP) from error
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"asks for {named[1]}, which no file of poses needs" if named else "is damaged"
        raise InputError(f"The poses {path}: the file {reason}.", NEXT_STEP) from error
    except Exception as error:
        # Damaged content may raise nearly anything in pickle, zlib and torch.
        reason = str(error).split("\n")[0][:200]
        raise InputError(
            f"The poses {path} are damaged ({type(error).__name__}: {reason}).", NEXT_STEP
        ) from error


def _is_torch(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("data.pkl") for name in archive.namelist())


def _unpickled(content: bytes) -> Any:
    unpack = next((unpack for start, unpack in PACKED.items() if content.startswith(start)), None)
    stream = io.BytesIO(unpack(content) if unpack else content)
    if not content.startswith(NPY):
        return _Unpickler(stream).load()
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if shape != () or not dtype.hasobject:
        raise Refused("holds an array where named values are expected")
    (member,) = _Unpickler(stream).load().objects()
    return member


class _JoblibArray(Stub):
    """joblib's note that the bytes of an array follow in the stream."""

    def read(self, stream: IO[bytes]) -> NDArray[Any] | Any:
        """The array; its members, if they are objects."""
        state = self.state
        if "O" in str(state["dtype"].arguments[0]):
            return _Unpickler(stream).load()
        if state.get("numpy_array_alignment_bytes") is not None:
            stream.read(stream.read(1)[0])
        dtype = plain_array(b"", state["dtype"], (0,), "C").dtype
        size = dtype.itemsize
        for length in state["shape"]:
            size *= int(length)
        if not 0 <= size <= LARGEST:
            raise Refused(TOO_LARGE)
        return plain_array(stream.read(size), state["dtype"], state["shape"], state["order"])


class _TorchStorage(Stub):
    """The numbers of a tensor, which torch packs into pickles in its own form."""

    def load(self) -> Any:
        with warnings.catch_warnings(action="ignore"):  # of the form's age
            return torch.load(io.BytesIO(self.arguments[0]), "cpu", weights_only=True)


class _TorchTensor(Stub):
    def resolve(self) -> NDArray[Any]:
        storage, offset, size, stride = self.arguments[:4]
        with warnings.catch_warnings(action="ignore"):
            rebuilt = torch._utils._rebuild_tensor_v2(
                storage.load(), offset, size, stride, False, collections.OrderedDict()
            )
        return rebuilt.numpy()


CLASSES: Known = [
    *PLAIN,
    (r"joblib\.numpy_pickle\.NumpyArrayWrapper", _JoblibArray),
    (r"torch\.storage\._load_from_bytes", _TorchStorage),
    (r"torch\._utils\._rebuild_tensor_v2", _TorchTensor),
]


_PythonUnpickler: Any = pickle._Unpickler


class _Unpickler(_PythonUnpickler):
    """Python's own unpickler in Python, since joblib's arrays lie between the pickle's parts."""

    dispatch: ClassVar[dict[int, Any]] = dict(_PythonUnpickler.dispatch)

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="latin1")
        self._stream = stream

    def find_class(self, module: str, name: str) -> Any:
        return find_stub(CLASSES, "file of poses", module, name)

    def load_build(self) -> None:
        super().load_build()
        if isinstance(self.stack[-1], _JoblibArray):
            self.stack[-1] = self.stack[-1].read(self._stream)

    dispatch[pickle.BUILD[0]] = load_build
