"""Reads arrays out of pickles without running anything that they contain.

Every class that the pickle names becomes a `Stub` that only remembers what it was given; `to_array` then
works out the few kinds that hold arrays. A class that the caller does not expect is refused before anything
is made of it. The plain types (dictionaries, lists, numbers, texts) come as they are.
"""

import io
import math
import pickle
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Refused(Exception):
    """The pickle holds what such a file does not hold; the message completes "the file ..."."""


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

    def __setitem__(self, key: Any, value: Any) -> None:
        """Items of what is a kind of dictionary there are left out."""

    def append(self, value: Any) -> None:
        """So are members of what is a kind of list."""


class Mapping(dict[Any, Any]):
    """Stands for a kind of dictionary: its items count, and nothing else of it."""

    kind = ""

    def __init__(self, *arguments: Any) -> None:
        """Whatever it was made with, such as a factory of default values, is left out."""
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """Nor does what else it knew."""


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
        return plain_array(content, dtype, shape, "F" if fortran_order else "C")

    def objects(self) -> list[Any]:
        """The members of an array of objects."""
        content = self.state[4]
        if not isinstance(content, list):
            raise Refused("holds an array of numbers where one of objects is needed")
        return content


class _BufferArray(Stub):
    """numpy's `_frombuffer`, from pickles of protocol 5."""

    def resolve(self) -> Array:
        content, dtype, shape, order = self.arguments
        return plain_array(content, dtype, shape, order)


class _Scalar(Stub):
    """A single number of numpy's."""

    def resolve(self) -> Array:
        dtype, content = self.arguments
        return plain_array(content, dtype, (), "C")


class _Reconstructor(Stub):
    """Python's own way to make an object of the class that it is given first."""

    def __new__(cls, made: Any, *_: Any) -> Any:
        if not (isinstance(made, type) and issubclass(made, Stub | Mapping)):
            raise Refused("makes an object of what is no class")
        return made()


class _Latin1(Stub):
    """How Python 3 writes bytes into a pickle for Python 2."""

    def __new__(cls, text: str, encoding: str) -> Any:
        return text.encode("latin1")


Known = Sequence[tuple[str, type[Stub] | type[Mapping]]]
"""Patterns of full names, and what stands for them."""

PLAIN: Known = [
    (r"numpy\.dtype", _Dtype),
    (r"numpy\.(core|_core)\.multiarray\._reconstruct", _NumpyArray),
    (r"numpy\.(core|_core)\.numeric\._frombuffer", _BufferArray),
    (r"numpy\.(core|_core)\.multiarray\.scalar", _Scalar),
    (r"numpy\.ndarray", Stub),
    (r"(copyreg|copy_reg)\._reconstructor", _Reconstructor),
    (r"_codecs\.encode", _Latin1),
    (r"collections\.(OrderedDict|defaultdict)", Mapping),
    (r"(builtins|__builtin__)\.(object|set|frozenset|dict|list|slice)", Stub),
]
"""What numpy and Python themselves put into pickles of plain things."""


def find_stub(known: Known, purpose: str, module: str, name: str) -> type[Stub] | type[Mapping]:
    """The class that stands for a name in a pickle; for an unpickler's `find_class`.

    Raises:
        Refused: it is not known; says that no such `purpose` needs it.
    """
    full_name = f"{module}.{name}"
    for pattern, stub in known:
        if re.fullmatch(pattern, full_name):
            return type(stub.__name__, (stub,), {"kind": full_name})
    raise Refused(f"asks for {full_name}, which no {purpose} needs")


def load_stubs(content: bytes, known: Known, purpose: str) -> Any:
    """What the pickle holds, with stubs for everything but the plain types.

    Args:
        known: the classes to expect beside `PLAIN`.
        purpose: what the file should be, for messages: "SMPL model".

    Raises:
        Refused: it names a class that is not expected.
        Exception: it is damaged or no pickle; Python promises no particular type.
    """

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            return find_stub((*known, *PLAIN), purpose, module, name)

    return Unpickler(io.BytesIO(content), encoding="latin1").load()


def to_array(value: Any) -> Array:
    """The array of numbers that a part of the pickle stands for.

    Raises:
        Refused: it stands for none.
        Exception: its parts do not fit together.
    """
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Stub) and hasattr(value, "resolve"):
        return np.asarray(value.resolve())
    raise Refused(f"holds {getattr(value, 'kind', '') or type(value).__name__} where an array is needed")


def plain_array(content: Any, dtype: Any, shape: tuple[int, ...], order: str) -> Array:
    """The array of a buffer.

    Raises:
        Refused: its members are not plain numbers.
        ValueError: the buffer has another length than the shape.
    """
    if not isinstance(dtype, _Dtype):
        raise Refused("holds an array without a type")
    raw = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(raw, bytes | bytearray):
        raise Refused("holds an array of objects where numbers are needed")
    flat = np.frombuffer(raw, dtype.resolve(), count=math.prod(shape))
    return flat.reshape(shape, order="F" if order == "F" else "C")
