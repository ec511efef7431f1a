"""The binary container of glTF 2.0 (.glb): one JSON chunk, one chunk of arrays."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MAGIC, _VERSION, _JSON, _BINARY = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_COMPONENTS = {"f4": 5126, "u1": 5121, "u2": 5123, "u4": 5125}
_SHAPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
VERTICES, INDICES = 34962, 34963
"""What a buffer view is for, where it is drawn: vertex attributes, triangles."""


class Glb:
    """A file in the making: `content` is its JSON, to which arrays are added one by one.

    Args:
        content: the JSON object without accessors, bufferViews and buffers.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = {
            "asset": {"version": "2.0", "generator": "hsplat-pipeline"},
            **content,
            "accessors": [],
            "bufferViews": [],
        }
        self._binary = bytearray()

    def add(
        self,
        values: ArrayLike,
        target: int | None = None,
        normalized: bool = False,
        bounds: bool = False,
    ) -> int:
        """Stores an array and gives its accessor's index.

        Args:
            values: (N, ...) of float32, uint8, uint16 or uint32; a row is a scalar, a vector of 2 to 4, or a
                4x4 matrix. Rows must fill whole multiples of four bytes if they are vertex attributes.
            target: `VERTICES`, `INDICES` or nothing.
            normalized: integers stand for their share of the type's largest value.
            bounds: state the smallest and largest row, as positions and times need it.
        """
        array = np.asarray(values)
        stored = array.mT if array.ndim == 3 else array  # the file's matrices go by columns
        self._binary.extend(b"\0" * (-len(self._binary) % 4))
        view: dict[str, Any] = {
            "buffer": 0,
            "byteOffset": len(self._binary),
            "byteLength": array.nbytes,
        }
        accessor: dict[str, Any] = {
            "bufferView": len(self.content["bufferViews"]),
            "componentType": _COMPONENTS[array.dtype.str[1:]],
            "count": len(array),
            "type": _SHAPES[array.shape[1:]],
        }
        if target is not None:
            view["target"] = target
        if normalized:
            accessor["normalized"] = True
        if bounds:
            accessor["min"] = np.atleast_1d(array.min(axis=0)).tolist()
            accessor["max"] = np.atleast_1d(array.max(axis=0)).tolist()
        self._binary.extend(np.ascontiguousarray(stored).tobytes())
        self.content["bufferViews"].append(view)
        self.content["accessors"].append(accessor)
        return len(self.content["accessors"]) - 1

    def write(self, path: Path) -> None:
        """Writes the file."""
        self._binary.extend(b"\0" * (-len(self._binary) % 4))
        content = {**self.content, "buffers": [{"byteLength": len(self._binary)}]}
        text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        length = 12 + 8 + len(text) + 8 + len(self._binary)
        with path.open("wb") as file:
            file.write(struct.pack("<III", _MAGIC, _VERSION, length))
            file.write(struct.pack("<II", len(text), _JSON) + text)
            file.write(struct.pack("<II", len(self._binary), _BINARY) + self._binary)


def linear_light(colors: ArrayLike) -> NDArray[np.float32]:
    """Displayed (sRGB) colours in [0, 1] as amounts of light, which is what COLOR_0 holds (IEC 61966-2-1)."""
    shown = np.clip(np.asarray(colors, np.float64), 0, 1)
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4).astype(np.float32)
