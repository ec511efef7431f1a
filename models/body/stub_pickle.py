"""Reads arrays out of SMPL's pickles without running anything that they contain.

The official files are pickles from Python 2 that refer to numpy, scipy and chumpy. Here every class they name
becomes a `Stub` that only remembers what it was given; `to_array` then works out the few kinds that hold
arrays. A class that no SMPL model needs is refused before anything is made of it.
"""

import io
import math
import pickle
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[Any]


class Refused(Exception):
    """The pickle holds what no SMPL model holds; the message completes "the file ..."."""


class Stub:
    """Stands for an object of the pickle's: what it was made with, and the state it was given."""

    kind = ""
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Any:
        stub = object.__new__(cls)
        stub.arguments, stub.state = arguments, None
        return stub

    def __init__(self, *arguments: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Dtype(Stub):
    def resolve(self) -> np.dtype[Any]:
        """The type, where it is one of plain numbers."""
        name = self.arguments[0]
        order = self.state[1] if self.state else "<"
        if not re.fullmatch(r"[biuf][1248]", str(name)) or order not in ("<", ">", "|"):
            raise Refused(f"holds an array of type {name!r} where numbers are needed")
        return np.dtype(order + name)


class _NumpyArray(Stub):
    """numpy's `_reconstruct`, whose state has the content."""

    def resolve(self) -> Array:
        _, shape, dtype, fortran_order, content = self.state
        return _plain_array(content, dtype, shape, "F" if fortran_order else "C")


class _BufferArray(Stub):
    """numpy's `_frombuffer`, from pickles of protocol 5."""

    def resolve(self) -> Array:
        content, dtype, shape, order = self.arguments
        return _plain_array(content, dtype, shape, order)


class _CompressedSparse(Stub):
    def resolve(self) -> Array:
        shape = self.state.get("_shape", self.state.get("shape"))
        make = sparse.csc_matrix if "csc" in self.kind else sparse.csr_matrix
        parts = tuple(to_array(self.state[name]) for name in ("data", "indices", "indptr"))
        matrix = make(parts, shape=shape)
        matrix.check_format(full_check=True)
        return matrix.toarray()


class _ChumpyLeaf(Stub):
    def resolve(self) -> Array:
        return to_array(self.state["x"])


class _ChumpySelection(Stub):
    """Entries `idxs` of the flattened array `a`, in a shape of their own."""

    def resolve(self) -> Array:
        selected = to_array(self.state["a"]).ravel()[to_array(self.state["idxs"])]
        return selected.reshape(self.state["preferred_shape"])


class _Reconstructor(Stub):
    """Python's own way to make an object of the class that it is given first."""

    def __new__(cls, made: Any, *_: Any) -> Any:
        if not (isinstance(made, type) and issubclass(made, Stub)):
            raise Refused("makes an object of what is no class")
        return made()


class _Latin1(Stub):
    """How Python 3 writes bytes into a pickle for Python 2."""

    def __new__(cls, text: str, encoding: str) -> Any:
        return text.encode("latin1")


_KNOWN: list[tuple[str, type[Stub]]] = [
    (r"numpy\.dtype", _Dtype),
    (r"numpy\.(core|_core)\.multiarray\._reconstruct", _NumpyArray),
    (r"numpy\.(core|_core)\.numeric\._frombuffer", _BufferArray),
    (r"numpy\.ndarray|numpy\.(core|_core)\.multiarray\.scalar", Stub),
    (r"scipy\.sparse\.(_?cs[cr]\.)?cs[cr]_(matrix|array)", _CompressedSparse),
    (r"chumpy\.(ch\.)?Ch", _ChumpyLeaf),
    (r"chumpy\.reordering\.Select", _ChumpySelection),
    (r"chumpy(\.\w+)+", Stub),
    (r"(copyreg|copy_reg)\._reconstructor", _Reconstructor),
    (r"_codecs\.encode", _Latin1),
    (r"(builtins|__builtin__)\.(object|set|frozenset)|collections\.OrderedDict", Stub),
]


class _StubUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[Stub]:
        full_name = f"{module}.{name}"
        for pattern, stub in _KNOWN:
            if re.fullmatch(pattern, full_name):
                return type(stub.__name__, (stub,), {"kind": full_name})
        raise Refused(f"asks for {full_name}, which no SMPL model needs")


def load_stubs(content: bytes) -> Any:
    """What the pickle holds, with stubs for everything but the plain types.

    Raises:
        Refused: it names a class that no SMPL model needs.
        Exception: it is damaged or no pickle; Python promises no particular type.
    """
    return _StubUnpickler(io.BytesIO(content), encoding="latin1").load()


def to_array(value: Any) -> Array:
    """The array of numbers that a part of the pickle stands for.

    Raises:
        Refused: it stands for none.
        Exception: its parts do not fit together.
    """
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Stub) and hasattr(value, "resolve"):
        return value.resolve()
    raise Refused(f"holds {getattr(value, 'kind', '') or type(value).__name__} where an array is needed")


def _plain_array(content: Any, dtype: Any, shape: tuple[int, ...], order: str) -> Array:
    if not isinstance(dtype, _Dtype):
        raise Refused("holds an array without a type")
    raw = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(raw, bytes | bytearray):
        raise Refused("holds an array of objects where numbers are needed")
    flat = np.frombuffer(raw, dtype.resolve(), count=math.prod(shape))
    return flat.reshape(shape, order="F" if order == "F" else "C")
