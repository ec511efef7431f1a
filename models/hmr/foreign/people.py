"""A person as another program's file tells of them, and the checks that every number of it goes through."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.body.motion import LARGEST_ANGLE
from models.body.transfer import SMPL_PELVIS
from models.errors import InputError
from models.stub_pickle import Refused, to_array

Array = NDArray[np.float64]

SMPLX_PELVIS = np.array([0.003, -0.351, 0.012])
"""Metres; where the pelvis of SMPL-X's mean body rests."""
ROTATION_SLACK = 0.01  # of a matrix times its transpose from the identity; networks compute in half precision
MOST_NUMBERS = 2**28  # under one name; a tensor can claim any number of them without holding them
NEXT_STEP = (
    "Give a motion file of this project, or results as PHALP (4D-Humans), WHAM, GVHMR or TRAM write them: "
    "docs/formats.md, Poses of other programs."
)


@dataclass(frozen=True, eq=False)
class Person:
    """N frames of somebody, the camera's space being OpenCV's.

    Attributes:
        program: which wrote the file.
        name: what the program calls them.
        frames: (N,) int64, rising, indices into the pictures that the program saw.
        poses: (N, 72) axis-angle radians, SMPL's joints.
        pelvis: (N, 3) metres in camera space.
        betas: (N, 10) of SMPL, or None where the program's body is another.
        K: (3, 3) of the program's pictures.
        width, height: of these pictures.
        length: how many pictures the program saw; None where it does not say.
        camera_known: whether K is meant as the camera's, and not just a very long lens.
    """

    program: str
    name: str
    frames: NDArray[np.int64]
    poses: Array
    pelvis: Array
    betas: Array | None
    K: Array
    width: float
    height: float
    length: int | None
    camera_known: bool = True


def first_has(content: Any, names: set[str]) -> bool:
    """Whether it is a dictionary of dictionaries, the first of which holds these names."""
    first = next(iter(content.values()), None) if isinstance(content, dict) else None
    return isinstance(first, dict) and first.keys() >= names


class Fields:
    """Values of one file, each checked as it is taken.

    Args:
        path: the file.
        program: which wrote it.
        where: the person or frame that the values are of, for messages.
        values: by their names.
    """

    def __init__(self, path: Path, program: str, where: str, values: Any) -> None:
        self.path, self.program, self.where = path, program, where
        if not isinstance(values, dict):
            raise self.refusal(f"holds {type(values).__name__} where named values are expected")
        self.values = values

    def numbers(self, name: str, *shape: int | None) -> Array:
        """The numbers under a name.

        Args:
            shape: that they must have, None standing for any length, once; axes of length one do not matter.

        Raises:
            InputError: they are missing, of another shape, or not finite.
        """
        array = self._array(name)
        count = array.size // max(1, math.prod(size for size in shape if size is not None))
        wanted = tuple(count if size is None else size for size in shape)
        if _without_ones(array.shape) != _without_ones(wanted):
            asked = ", ".join("N" if size is None else str(size) for size in shape)
            raise self.refusal(f"has `{name}` of shape {array.shape}, expected ({asked})")
        if not np.isfinite(array).all():
            raise self.refusal(f"has `{name}` with values that are no numbers")
        return array.reshape(wanted).astype(np.float64)

    def indices(self, name: str, count: int) -> NDArray[np.int64]:
        """Indices of pictures, as many as given, from 0 up and rising.

        Raises:
            InputError: they are something else.
        """
        numbers = self.numbers(name, count)
        whole = numbers.astype(np.int64)
        if not np.array_equal(whole, numbers) or whole.min(initial=0) < 0 or (np.diff(whole) <= 0).any():
            raise self.refusal(f"has `{name}` that are not whole, from 0 up and rising")
        return whole

    def angles(self, name: str, joints: int) -> Array:
        """(N, 3 * joints) axis-angle vectors.

        Raises:
            InputError: they are missing, or turn further than joints do.
        """
        vectors = self.numbers(name, None, 3 * joints)
        if np.linalg.norm(vectors.reshape(-1, 3), axis=-1).max(initial=0) > LARGEST_ANGLE:
            raise self.refusal(f"has `{name}` that are no angles in radians")
        return vectors

    def rotations(self, name: str, *shape: int | None) -> Array:
        """Rotation matrices (*shape, 3, 3) as axis-angle vectors (*shape, 3).

        Raises:
            InputError: they are missing, or no rotations.
        """
        matrices = self.numbers(name, *shape, 3, 3)
        off = np.abs(matrices @ matrices.swapaxes(-1, -2) - np.eye(3)).max(initial=0)
        if off > ROTATION_SLACK or (np.linalg.det(matrices) < 0).any():
            raise self.refusal(f"has `{name}` that are no rotation matrices")
        return Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec().reshape(matrices.shape[:-1])

    def members(self, name: str) -> list[Any]:
        """The list under a name.

        Raises:
            InputError: it is missing, or something else.
        """
        value = self._value(name)
        if not isinstance(value, list | tuple):
            raise self.refusal(f"has `{name}` that is no list")
        return list(value)

    def inner(self, name: str, where: str = "") -> "Fields":
        """The named values under a name."""
        return Fields(self.path, self.program, where or self.where, self._value(name))

    def refusal(self, problem: str) -> InputError:
        """What to raise."""
        where = f", {self.where}," if self.where else ""
        return InputError(f"{self.path} ({self.program}){where} {problem}.", NEXT_STEP)

    def _value(self, name: str) -> Any:
        if name not in self.values:
            raise self.refusal(f"lacks `{name}`")
        return self.values[name]

    def _array(self, name: str) -> NDArray[Any]:
        try:
            array = plain_numbers(self._value(name))
        except Refused as refused:
            raise self.refusal(f"has `{name}` that {refused}") from refused
        if array.dtype.kind not in "fiub":
            raise self.refusal(f"has `{name}` that are no numbers")
        if array.size > MOST_NUMBERS:
            raise self.refusal(f"has `{name}` of shape {array.shape}, too many for any clip")
        return array


def plain_numbers(value: Any) -> NDArray[Any]:
    """The array of a value out of a file, be it an array, a tensor, a number, or a list of numbers.

    Raises:
        Refused: it is something else.
    """
    try:
        if isinstance(value, torch.Tensor):
            return value.detach().numpy()
        if isinstance(value, list | tuple):
            return np.array([_single(one) for one in value])
        return np.array(value) if isinstance(value, int | float) else to_array(value)
    except Refused:
        raise
    except Exception as error:  # parts that do not fit together have many names
        raise Refused("is damaged") from error


def _single(value: Any) -> Any:
    """A member of a list, which is short: no list of its own, and no array that the list would multiply."""
    number = value if isinstance(value, int | float) else to_array(value)
    if np.size(number) != 1:
        raise Refused("holds lists of lists where numbers are needed")
    return np.reshape(number, ())


def placed_by_smpl(trans: Array) -> Array:
    """(N, 3) pelvises of SMPL's body, moved by `trans`: vertices = LBS(pose) + trans."""
    return trans + SMPL_PELVIS


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]
