"""The user's SMPL: synthetic files in the official format, agreement with smplx, and what is refused."""

import os
import pickle
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from models.body import PARENTS, BodyModel, load_body, load_embedded_body
from models.errors import InputError

smplx = pytest.importorskip("smplx", reason="smplx is not installed (extra `models`)")

V = 6890


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    return smpl_arrays()


def smpl_arrays() -> dict[str, Any]:
    """A body with SMPL's shapes and random content."""
    generator = np.random.default_rng(0)
    weights = generator.random((V, 24)) ** 8
    regressor = sparse.random(24, V, density=0.001, random_state=1, format="csc")
    regressor.data += 0.1
    return {
        "v_template": generator.normal(0, 0.4, (V, 3)),
        "f": generator.integers(0, V, (13776, 3)).astype(np.uint32),
        "weights": weights / weights.sum(1, keepdims=True),
        "J_regressor": sparse.csc_matrix(regressor / regressor.sum(1)),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(24)], dtype=np.uint32),
        "posedirs": generator.normal(0, 1e-3, (V, 3, 207)).astype(np.float32),
        "shapedirs": generator.normal(0, 1e-2, (V, 3, 10)),
    }


@pytest.fixture
def chumpy(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.SimpleNamespace]:
    """Stand-ins for chumpy's classes, there while a pickle is written and gone when it is read."""
    made = {}
    for module, name in (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select"), ("chumpy.ch_ops", "add")):
        made[name] = type(name, (), {"__module__": module})
        parent = types.ModuleType(module)
        setattr(parent, name, made[name])
        monkeypatch.setitem(sys.modules, module, parent)
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))

    def of(kind: str, **state: Any) -> Any:
        thing = made[kind]()
        thing.__dict__.update(state)
        return thing

    yield types.SimpleNamespace(of=of)


def write_npz(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **(arrays | {"J_regressor": arrays["J_regressor"].toarray()}))
    return path


def write_pickle(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def assert_is_body_of(body: BodyModel, arrays: dict[str, Any]) -> None:
    regressor = arrays["J_regressor"].toarray()
    for ours, theirs in (
        (body.v_template, arrays["v_template"]),
        (body.weights, arrays["weights"]),
        (body.shapedirs, arrays["shapedirs"]),
        (body.joint_template, regressor @ arrays["v_template"]),
        (body.faces, arrays["f"].astype(np.int64)),
    ):
        torch.testing.assert_close(ours, torch.from_numpy(theirs), check_dtype=False, rtol=0, atol=1e-6)
    assert body.kind == "smpl"
    assert body.keypoints["nose"] == 332


def agreement(body: BodyModel, model: Any) -> float:
    """The largest distance in metres of our vertices and joints from smplx's, over random bodies."""
    generator = torch.Generator().manual_seed(5)
    poses = 0.7 * torch.randn(4, 72, generator=generator)
    trans = torch.randn(4, 3, generator=generator)
    betas = torch.randn(4, 10, generator=generator)
    ours = body.pose(poses, trans, betas)
    theirs = model(betas=betas, global_orient=poses[:, :3], body_pose=poses[:, 3:], transl=trans)
    count = len(body.v_template)
    distances = [
        (ours.vertices - theirs.vertices[:, :count]).norm(dim=-1).max(),
        (ours.joints - theirs.joints[:, :24]).norm(dim=-1).max(),
    ]
    return float(torch.stack(distances).max())


def smplx_model(arrays: dict[str, Any], **options: Any) -> Any:
    dense = arrays | {"J_regressor": np.asarray(arrays["J_regressor"])}
    data = smplx.utils.Struct(**dense)
    return smplx.SMPL(model_path="", data_struct=data, batch_size=4, **options)


def test_npz_agrees_with_smplx(tmp_path: Path, arrays: dict[str, Any]) -> None:
    body = load_body(write_npz(tmp_path / "SMPL_NEUTRAL.npz", arrays))
    assert_is_body_of(body, arrays)
    model = smplx_model(arrays | {"J_regressor": arrays["J_regressor"].toarray()})
    assert agreement(body, model) < 1e-5


def test_embedded_body_agrees_with_smplx() -> None:
    body = load_embedded_body()
    # smplx regresses joints from vertices: give it the joints as 24 more, each moving with its joint.
    own_joint = np.eye(24, dtype=np.float32)
    count = len(body.v_template)
    arrays = {
        "v_template": np.concatenate([body.v_template, body.joint_template]),
        "shapedirs": np.concatenate([body.shapedirs, body.joint_dirs]),
        "posedirs": np.zeros((count + 24, 3, 207), np.float32),
        "weights": np.concatenate([body.weights, own_joint]),
        "J_regressor": np.concatenate([np.zeros((24, count), np.float32), own_joint], 1),
        "kintree_table": np.array([PARENTS, range(24)]),
        "f": body.faces.numpy(),
    }
    options = {"vertex_ids": body.keypoints, "use_hands": False, "use_feet_keypoints": False}
    assert agreement(body, smplx_model(arrays, **options)) < 1e-5


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_pickle(tmp_path: Path, arrays: dict[str, Any], protocol: int) -> None:
    path = write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", arrays, protocol)
    assert_is_body_of(load_body(path), arrays)


def test_pickle_with_chumpy(
    tmp_path: Path, arrays: dict[str, Any], chumpy: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    more_shapes = np.concatenate([arrays["shapedirs"], np.ones((V, 3, 4))], 2)
    first_ten = np.arange(more_shapes.size).reshape(more_shapes.shape)[:, :, :10]
    leaf = chumpy.of("Ch", x=more_shapes, _dirty_vars=set(), _itr=None)
    content = arrays | {
        "shapedirs": chumpy.of("Select", a=leaf, idxs=first_ten.ravel(), preferred_shape=(V, 3, 10)),
        "v_template": chumpy.of("Ch", x=np.asfortranarray(arrays["v_template"])),
        "v_posed": chumpy.of("add", a=leaf, b=leaf),
        "pose_training_info": {"gender": "neutral", "files": np.array([{}], dtype=object)},
    }
    path = write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", content, protocol=2)
    for name in [name for name in sys.modules if name.startswith("chumpy")]:
        monkeypatch.delitem(sys.modules, name)
    assert_is_body_of(load_body(path), arrays)


def test_three_hundred_shapes_are_cut_to_ten(tmp_path: Path, arrays: dict[str, Any]) -> None:
    many = np.concatenate([arrays["shapedirs"], np.ones((V, 3, 290), np.float32)], 2).astype(np.float32)
    body = load_body(write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", arrays | {"shapedirs": many}))
    assert_is_body_of(body, arrays)


class Evil:
    def __init__(self, callable_: Any, *arguments: Any) -> None:
        self.call = callable_, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_evil_pickle_does_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    evils = {
        "posix.mkdir": Evil(os.mkdir, str(trace)),
        "__builtin__.eval": Evil(eval, f"__import__('os').mkdir({str(trace)!r})"),
        "__builtin__.getattr": Evil(getattr, "text", "format"),
        "numpy.load": Evil(np.load, str(trace)),
    }
    for name, evil in evils.items():
        path = write_pickle(tmp_path / "evil.pkl", {"extra": evil}, protocol=2)
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            load_body(path)
        assert not trace.exists()


def changed(array: np.ndarray, index: tuple[int, ...], value: float) -> np.ndarray:
    copy = array.copy()
    copy[index] = value
    return copy


def with_wild_indices(matrix: sparse.csc_matrix) -> sparse.csc_matrix:
    wild = matrix.copy()
    wild.indices = wild.indices + 10_000
    return wild


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "list": (lambda a: [1, 2, 3], "holds list"),
    "no regressor": (lambda a: {k: v for k, v in a.items() if k != "J_regressor"}, "lacks J_regressor"),
    "SMPL-X": (lambda a: a | {"v_template": np.zeros((10475, 3))}, r"v_template of shape \(10475, 3\)"),
    "five shapes": (lambda a: a | {"shapedirs": a["shapedirs"][..., :5]}, "10 or more"),
    "nan": (lambda a: a | {"v_template": np.full((V, 3), np.nan)}, "no numbers"),
    "text": (lambda a: a | {"v_template": np.array(["a"])}, "type 'U1'"),
    "objects": (lambda a: a | {"v_template": np.array([{}], dtype=object)}, "array of objects"),
    "word": (lambda a: a | {"v_template": "nothing"}, "holds str"),
    "faces": (lambda a: a | {"f": changed(a["f"], (0, 0), V)}, "faces"),
    "tree": (lambda a: a | {"kintree_table": changed(a["kintree_table"], (0, 5), 0)}, "skeleton"),
    "weights": (lambda a: a | {"weights": 2 * a["weights"]}, "weights"),
    "sparse": (lambda a: a | {"J_regressor": with_wild_indices(a["J_regressor"])}, "damaged"),
}


@pytest.mark.parametrize("which", WRONG)
def test_wrong_pickles_are_refused(tmp_path: Path, arrays: dict[str, Any], which: str) -> None:
    spoil, complaint = WRONG[which]
    path = write_pickle(tmp_path / "SMPL_NEUTRAL.pkl", spoil(arrays))
    with pytest.raises(InputError, match=complaint) as caught:
        load_body(path)
    assert str(path) in caught.value.problem
    assert caught.value.next_step


def test_wrong_npz_files_are_refused(tmp_path: Path, arrays: dict[str, Any]) -> None:
    path = write_npz(tmp_path / "SMPL_NEUTRAL.npz", arrays | {"weights": np.zeros((V, 55))})
    with pytest.raises(InputError, match="weights of shape"):
        load_body(path)
    np.savez(path, v_template=arrays["v_template"])
    with pytest.raises(InputError, match="lacks f, weights"):
        load_body(path)


def test_damaged_files_are_refused(tmp_path: Path, arrays: dict[str, Any]) -> None:
    good = pickle.dumps(arrays, protocol=2)
    for name, content in {
        "empty.pkl": b"",
        "truncated.pkl": good[: len(good) // 2],
        "text.pkl": b"version https://git-lfs.github.com/spec/v1\n",
        "noise.pkl": np.random.default_rng(0).bytes(1000),
        "zip.npz": b"PK\x05\x06" + bytes(18),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            load_body(tmp_path / name)
    for path in (tmp_path / "absent.pkl", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            load_body(path)


def test_missing_smplx_names_the_extra(
    tmp_path: Path, arrays: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "smplx", None)
    with pytest.raises(InputError) as caught:
        load_body(write_npz(tmp_path / "SMPL_NEUTRAL.npz", arrays))
    assert "models" in caught.value.next_step
