"""A .glb as pygltflib reads it, and what of it the format demands of every file."""

from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
import pytest
from numpy.typing import NDArray

COMPONENTS = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class ReadGlb:
    """Arrays by accessor; every accessor is checked as it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.gltf: Any = pygltflib.GLTF2().load(str(path))
        self.blob = self.gltf.binary_blob()
        for index in range(len(self.gltf.accessors)):
            self.array(index)

    def array(self, index: int) -> NDArray[Any]:
        """(N, width) values of an accessor, within their view, aligned, and within the stated bounds."""
        accessor = self.gltf.accessors[index]
        view = self.gltf.bufferViews[accessor.bufferView]
        kind, width = np.dtype(COMPONENTS[accessor.componentType]), WIDTHS[accessor.type]
        start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
        size = accessor.count * width * kind.itemsize
        assert start % kind.itemsize == 0
        assert size <= view.byteLength
        assert start + size <= self.gltf.buffers[0].byteLength == len(self.blob)
        if view.target == 34962:
            assert start % 4 == 0
            assert (width * kind.itemsize) % 4 == 0
        values = np.frombuffer(self.blob, kind, accessor.count * width, start).reshape(-1, width)
        assert np.isfinite(values.astype(float)).all()
        if accessor.min:
            assert values.min(axis=0) == pytest.approx(accessor.min, abs=0)
            assert values.max(axis=0) == pytest.approx(accessor.max, abs=0)
        return values

    def attributes(self) -> dict[str, NDArray[Any]]:
        """Of the only primitive, by name."""
        (mesh,) = self.gltf.meshes
        (primitive,) = mesh.primitives
        found = vars(primitive.attributes)
        return {name: self.array(index) for name, index in found.items() if isinstance(index, int)}
