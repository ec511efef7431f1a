"""The user's own SMPL model (SMPL_NEUTRAL.pkl or .npz), through smplx, into our BodyModel."""

import contextlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.body.body import JOINT_COUNT, PARENTS, SHAPE_COUNT, BodyModel
from models.body.smpl_pickle import load_smpl_pickle
from models.errors import InputError
from models.files import read_bounded
from models.npz import LARGEST, read_npz
from models.stub_pickle import Refused, Stub, to_array

Array = NDArray[Any]

VERTEX_COUNT = 6890
FACE_COUNT = 13776
SHAPES: dict[str, tuple[int | None, ...]] = {
    "v_template": (VERTEX_COUNT, 3),
    "f": (FACE_COUNT, 3),
    "weights": (VERTEX_COUNT, JOINT_COUNT),
    "J_regressor": (JOINT_COUNT, VERTEX_COUNT),
    "kintree_table": (2, JOINT_COUNT),
    "posedirs": (VERTEX_COUNT, 3, 9 * (JOINT_COUNT - 1)),
    "shapedirs": (VERTEX_COUNT, 3, None),
}
"""What the file must hold, and its shapes; None for ten or more."""
FACE_KEYPOINTS = ("nose", "reye", "leye", "rear", "lear")
NEXT_STEP = (
    "Give SMPL_NEUTRAL.pkl (or .npz) from https://smpl.is.tue.mpg.de, version 1.0 or 1.1, as downloaded; "
    "without it the embedded body serves."
)


def load_smpl(path: Path) -> BodyModel:
    """The SMPL model in `path`: its first ten shape coefficients, with pose-dependent blend shapes.

    Raises:
        InputError: the file is no SMPL model or holds anything but one; or smplx is not installed.
    """
    smplx = _smplx(path)
    data = smplx.utils.Struct(**_arrays(path))
    with contextlib.redirect_stdout(io.StringIO()):  # it warns of models with just ten coefficients
        model = smplx.SMPL(
            model_path="",
            data_struct=data,
            num_betas=SHAPE_COUNT,
            create_betas=False,
            create_global_orient=False,
            create_body_pose=False,
            create_transl=False,
        )
    vertex_ids = smplx.vertex_ids.vertex_ids["smplh"]
    return BodyModel(
        kind="smpl",
        v_template=model.v_template,
        shapedirs=model.shapedirs,
        joint_template=model.J_regressor @ model.v_template,
        joint_dirs=torch.einsum("jv,vik->jik", model.J_regressor, model.shapedirs),
        weights=model.lbs_weights,
        faces=model.faces_tensor,
        posedirs=model.posedirs,
        keypoints={name: vertex_ids[name] for name in FACE_KEYPOINTS},
        mirror=None,
    )


def check_smpl(path: Path) -> None:
    """Reads the file without making a model of it.

    Raises:
        InputError: the file is no SMPL model or holds anything but one.
    """
    _arrays(path)


def _smplx(path: Path) -> Any:
    try:
        import smplx
        import smplx.utils
        import smplx.vertex_ids
    except ImportError as error:
        raise InputError(
            f"The SMPL model {path} needs the package smplx, which is not installed.",
            "Install the extra `models` (uv sync --extra models), or leave the embedded body in its place.",
        ) from error
    return smplx


def _arrays(path: Path) -> dict[str, Array]:
    """The file's arrays, checked."""
    try:
        parts = _npz_parts(path) if zipfile.is_zipfile(path) else _pickle_parts(path)
        missing = [name for name in SHAPES if name not in parts]
        if missing:
            raise Refused(f"lacks {', '.join(missing)}")
        arrays = {name: to_array(parts[name]) for name in SHAPES}
    except Refused as refused:
        raise _refusal(path, str(refused)) from refused
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # Damaged content may raise nearly anything in pickle, zipfile and numpy.
        raise _refusal(path, f"is damaged or of another format ({type(error).__name__}: {error})") from error
    _check(path, arrays)
    return arrays


def _npz_parts(path: Path) -> dict[str, Array]:
    return dict(read_npz(path, SHAPES))


def _pickle_parts(path: Path) -> dict[str, Any]:
    content = load_smpl_pickle(read_bounded(path, LARGEST))
    if not isinstance(content, dict):
        kind = content.kind if isinstance(content, Stub) else type(content).__name__
        raise Refused(f"holds {kind}, not a model")
    return content


def _check(path: Path, arrays: dict[str, Array]) -> None:
    for name, expected in SHAPES.items():
        array = arrays[name]
        fits = len(array.shape) == len(expected) and all(
            size == wanted if wanted else size >= SHAPE_COUNT
            for size, wanted in zip(array.shape, expected, strict=True)
        )
        if not fits:
            wanted = tuple(f"{SHAPE_COUNT} or more" if size is None else size for size in expected)
            raise _refusal(path, f"has {name} of shape {array.shape}, SMPL's is {wanted}")
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise _refusal(path, f"has {name} with values that are no numbers")
    if arrays["f"].min() < 0 or arrays["f"].max() >= VERTEX_COUNT:
        raise _refusal(path, "has faces with vertices that are not there")
    if tuple(arrays["kintree_table"][0, 1:].tolist()) != PARENTS[1:]:
        raise _refusal(path, "has another skeleton than SMPL's")
    if arrays["weights"].min() < 0 or np.abs(arrays["weights"].sum(1) - 1).max() > 1e-3:
        raise _refusal(path, "has skinning weights that do not add up to one")


def _refusal(path: Path, problem: str) -> InputError:
    return InputError(f"The SMPL model {path} {problem}.", NEXT_STEP)
