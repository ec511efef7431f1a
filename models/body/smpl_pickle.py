"""The classes that the official SMPL pickles refer to: arrays of chumpy and sparse matrices of scipy.

The files are from Python 2. chumpy no longer builds; of its objects those that hold numbers are worked out.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.stub_pickle import Known, Stub, load_stubs, to_array

Array = NDArray[Any]


class _CompressedSparse(Stub):
    def resolve(self) -> Array:
        shape = self.state.get("_shape", self.state.get("shape"))
        make = sparse.csc_matrix if "csc" in self.kind else sparse.csr_matrix
        parts = tuple(to_array(self.state[name]) for name in ("data", "indices", "indptr"))
        matrix = make(parts, shape=shape)
        matrix.check_format(full_check=True)
        return np.asarray(matrix.toarray())


class _ChumpyLeaf(Stub):
    def resolve(self) -> Array:
        return to_array(self.state["x"])


class _ChumpySelection(Stub):
    """Entries `idxs` of the flattened array `a`, in a shape of their own."""

    def resolve(self) -> Array:
        selected = to_array(self.state["a"]).ravel()[to_array(self.state["idxs"])]
        return selected.reshape(self.state["preferred_shape"])


CLASSES: Known = [
    (r"scipy\.sparse\.(_?cs[cr]\.)?cs[cr]_(matrix|array)", _CompressedSparse),
    (r"chumpy\.(ch\.)?Ch", _ChumpyLeaf),
    (r"chumpy\.reordering\.Select", _ChumpySelection),
    (r"chumpy(\.\w+)+", Stub),
]


def load_smpl_pickle(content: bytes) -> Any:
    """What an SMPL model's pickle holds; raises as `models.stub_pickle.load_stubs` does."""
    return load_stubs(content, CLASSES, "SMPL model")
