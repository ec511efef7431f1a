"""Whatever a file holds, its reader gives a valid object or one message; never another exception."""

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from models.avatar import Avatar
from models.body import Motion, load_embedded_body
from models.body.official import _arrays as read_smpl
from models.errors import HsplatError
from models.formats import read_amass, read_bvh, write_bvh
from models.hmr.foreign.opening import contents
from models.npz import Unreadable, read_npz
from models.people import Landmarks
from pipeline import config
from pipeline.workspace import Damaged, Workspace
from stages.depth.own import _archive, _read_png
from stages.evaluate.truth import Truth
from stages.frames import Frames
from stages.images import read_coverage
from stages.render.cameras import Cameras

COUNT = 3
REFUSED = (HsplatError, Damaged)
OURS = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
REST = load_embedded_body().joint_template.numpy()
PARENTS = load_embedded_body().parents
FRAMES = Frames(
    Path(), np.arange(3.0), np.arange(3), 1.0, np.eye(3), np.eye(3), 12, 9, 12, 9, 3, "guess"
)  # fmt: skip
MOTION = {
    "poses": np.zeros((COUNT, 72), np.float32),
    "trans": np.ones((COUNT, 3), np.float32),
    "betas": np.zeros(10, np.float32),
    "K": np.array([[500.0, 0, 60], [0, 500, 45], [0, 0, 1]]),
    "frame": np.arange(COUNT),
    "fps": np.array(15.0),
    "width": np.array(120),
    "height": np.array(90),
    "body": np.array("embedded"),
    "valid": np.ones(COUNT, bool),
    "joints": np.ones((COUNT, 24, 3), np.float32),
}


def _avatar() -> dict[str, Any]:
    weights = np.zeros((5, 24), np.float32)
    weights[:, 0] = 1
    return {
        "format": np.array("hsplat-avatar"),
        "version": np.array(1),
        "means": np.zeros((5, 3), np.float32),
        "quaternions": np.tile(np.array([1, 0, 0, 0], np.float32), (5, 1)),
        "log_scales": np.full((5, 3), -4, np.float32),
        "opacity_logits": np.zeros(5, np.float32),
        "colors": np.zeros((5, 3), np.float32),
        "weights": weights,
        "rest_joints": REST.astype(np.float32),
        "parents": np.asarray(PARENTS),
        "betas": np.zeros(10, np.float32),
        "body": np.array("embedded"),
        "coverage": np.zeros(5, np.float32),
    }


def _first_map(path: Path) -> Any:
    with _archive(path, FRAMES) as (_, maps):
        return next(maps)


@dataclass(frozen=True)
class Kind:
    """A kind of file: what a valid one holds, and who reads it."""

    name: str
    arrays: dict[str, Any]
    read: Callable[[Path], Any]


NPZ = [
    Kind("motion", MOTION, Motion.load),
    Kind("avatar", _avatar(), Avatar.load),
    Kind(
        "amass",
        {"poses": np.zeros((3, 156)), "trans": np.zeros((3, 3)), "mocap_framerate": np.array(30.0)},
        lambda path: read_amass(path, REST),
    ),
    Kind(
        "cameras",
        {"K": MOTION["K"], "T_world_cam": np.eye(4)[None], "width": np.array(9), "height": np.array(9)},
        Cameras.load,
    ),
    Kind("truth", {"joints_cam": np.ones((3, 24, 3)), "fps": np.array(9.0)}, Truth.load),
    Kind("depth", {"disparity": np.ones((3, 9, 12), np.float32)}, _first_map),
    Kind(
        "landmarks",
        {"image": np.zeros((1, 3, 33, 3)), "world": np.zeros((1, 3, 33, 3)), "valid": np.ones((1, 3), bool)},
        Landmarks.load,
    ),
]
BY_NAME = pytest.mark.parametrize("kind", NPZ, ids=lambda kind: kind.name)


def held(arrays: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def read(kind: Kind, path: Path) -> Any:
    """What the reader gives, or None where it refuses."""
    try:
        return kind.read(path)
    except REFUSED as refusal:
        assert len(str(refusal)) < 2000
        return None


PLACES = st.floats(0, 1, exclude_max=True)
MUTATIONS = st.lists(
    st.tuples(PLACES, st.sampled_from(["flip", "cut", "drop", "swap"]), st.binary(max_size=9)),
    min_size=1,
    max_size=4,
)  # fmt: skip


def mutated(content: bytes, mutations: list[tuple[float, str, bytes]]) -> bytes:
    """Bits flipped, an end cut off, a part dropped, bytes put in their place."""
    for where, how, other in mutations:
        at = int(where * len(content))
        if how == "flip" and content:
            content = content[:at] + bytes([content[at] ^ (other[0] if other else 1)]) + content[at + 1 :]
        elif how == "cut":
            content = content[:at]
        elif how == "drop":
            content = content[:at] + content[at + 1 + len(other) :]
        elif how == "swap":
            content = content[:at] + other + content[at + len(other) :]
    return content


ANY_ARRAY = arrays_of.arrays(
    dtype=st.one_of(arrays_of.scalar_dtypes(), arrays_of.unicode_string_dtypes(max_len=4)),
    shape=arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


@BY_NAME
def test_a_valid_file_is_read(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(held(kind.arrays))
    assert kind.read(tmp_path / "a.npz") is not None


@BY_NAME
@OURS
@given(content=st.binary(max_size=60))
@example(b"")
@example(b"PK\5\6" + bytes(18))
@example(b"\x93NUMPY\1\0")
def test_any_bytes_are_refused(kind: Kind, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    assert read(kind, tmp_path / "a.npz") is None


@BY_NAME
@OURS
@given(mutations=MUTATIONS)
def test_a_damaged_file_is_read_or_refused(kind: Kind, tmp_path: Path, mutations: Any) -> None:
    (tmp_path / "a.npz").write_bytes(mutated(held(kind.arrays), mutations))
    read(kind, tmp_path / "a.npz")


@BY_NAME
@OURS
@given(data=st.data())
def test_other_shapes_types_and_values_are_read_or_refused(kind: Kind, tmp_path: Path, data: Any) -> None:
    """Of a valid file one array is anything, or lacks, or has other values in its own shape."""
    name = data.draw(st.sampled_from(sorted(kind.arrays)))
    whole = kind.arrays[name]
    values = st.sampled_from([np.nan, np.inf, -1.0, 0.0, 0.5, 1e30, 1e300, -1e300, 7.0])
    other = data.draw(st.one_of(ANY_ARRAY, values.map(lambda v: np.full(whole.shape, v)), st.none()))
    arrays = {**kind.arrays, name: other}
    (tmp_path / "a.npz").write_bytes(held({key: a for key, a in arrays.items() if a is not None}))
    result = read(kind, tmp_path / "a.npz")
    if isinstance(result, Motion):
        assert np.isfinite(result.poses).all() and np.isfinite(result.trans).all()
        assert 1 <= result.width <= 2**15 and result.fps > 0
    if isinstance(result, Avatar):
        assert result.means.isfinite().all() and result.log_scales.isfinite().all()


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode("latin1").ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + data


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


HEADER = "{{'descr': {}, 'fortran_order': False, 'shape': {}}}"


@BY_NAME
@pytest.mark.parametrize(
    "header",
    [
        HEADER.format("'<f4'", f"({10**15}, 72)"),
        HEADER.format("'<f4'", f"({10**30},)"),
        HEADER.format("'<f4'", "(-1, -72)"),
        HEADER.format("'|V0'", f"({2**62},)"),
        HEADER.format("'<U999999999'", "()"),
        HEADER.format("'|O'", "()"),
        HEADER.format("[('a', '|O')]", "(2,)"),
        HEADER.format("'<f4'", "(True, 2.5)"),
        "{'descr': " + "[" * 60,
        "(" * 99,
        "__import__('os').system('true')",
        "'\\N{",
    ],
)
def test_claims_are_checked_before_there_is_room_made_for_them(
    kind: Kind, tmp_path: Path, header: str
) -> None:
    members = {f"{name}.npy": npy(header, bytes(64)) for name in kind.arrays}
    (tmp_path / "a.npz").write_bytes(zipped(members))
    assert read(kind, tmp_path / "a.npz") is None


def test_an_archive_that_unpacks_to_gigabytes_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.npz.LARGEST", 2**20)
    array = npy(HEADER.format("'|u1'", f"({2**21},)"), bytes(2**21))
    (tmp_path / "bomb.npz").write_bytes(zipped({"poses.npy": array}))
    assert (tmp_path / "bomb.npz").stat().st_size < 10_000
    with pytest.raises(Unreadable, match="unpacks to more than"):
        read_npz(tmp_path / "bomb.npz")
    assert not read_npz(tmp_path / "bomb.npz", {"other"})


@BY_NAME
def test_pipes_devices_and_folders_are_refused_at_once(kind: Kind, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path, tmp_path / "none"):
        assert read(kind, path) is None


HIERARCHY = b"HIERARCHY\nROOT a\n{\nOFFSET 0 0 0\nCHANNELS 3 Xposition Yposition Zposition\n}\nMOTION\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x10\0\0\0\0"
OTHERS = [
    Kind("bvh", {}, lambda path: read_bvh(path, REST, PARENTS)),
    Kind("foreign", {}, contents),
    Kind("smpl", {}, read_smpl),
    Kind("depth png", {}, _read_png),
    Kind("configuration", {}, lambda path: config.load(Path("a.mp4"), file=path)),
]


@pytest.fixture(scope="module")
def bvh(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bvh") / "a.bvh"
    (path.parent / "m.npz").write_bytes(held(MOTION))
    write_bvh(path, Motion.load(path.parent / "m.npz"), REST, PARENTS)
    return path.read_bytes()


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.name)
@OURS
@given(
    content=st.one_of(
        st.binary(max_size=60), st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace"))
    )
)
@example(b"")
@example(HIERARCHY + b"Frames: 1e300\nFrame Time: 1\n")
@example(HIERARCHY + b"Frames: 999999999999\nFrame Time: 1e-7\n0 0 0\n")
@example(HIERARCHY + b"Frames: nan\nFrame Time: inf\n0 0 0\n")
@example(PNG)
@example(b"\x80\4cos\nsystem\n(S'true'\ntR.")
@example(b"frames: {fps: 0x" + b"f" * 5000 + b"}")
@example(b"frames: &a {<<: *a}")
@example(b"frames: !!python/object/apply:os.system [true]")
@example(b"frames: !!timestamp x")
@example(b"poses: {file: 'a\\0b'}")
@example(b'poses: {file: "\\ud800"}')
def test_any_content_is_read_or_refused(kind: Kind, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.file"
    path.write_bytes(content)
    read(kind, path)


@OURS
@given(mutations=MUTATIONS)
def test_a_damaged_bvh_is_read_or_refused(bvh: bytes, tmp_path: Path, mutations: Any) -> None:
    (tmp_path / "a.bvh").write_bytes(mutated(bvh, mutations))
    read(OTHERS[0], tmp_path / "a.bvh")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SECTIONS = st.dictionaries(
    st.sampled_from(["frames", "detect", "poses", "masks", "depth", "optimize", "export", "x"]),
    JSON | st.dictionaries(st.sampled_from(["fps", "file", "height", "device", "engine"]), JSON, max_size=3),
    max_size=3,
)


@OURS
@given(content=SECTIONS)
def test_any_configuration_is_taken_or_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "a.yaml").write_text(json.dumps(content))
    read(OTHERS[-1], tmp_path / "a.yaml")


@pytest.mark.parametrize(
    "each", ["{{<<: [*a{0}, *a{0}]}}", "{{x: {{<<: [*a{0}, *a{0}]}}, <<: [*a{0}, *a{0}]}}"]
)
def test_merges_that_grow_without_bound_are_refused(tmp_path: Path, each: str) -> None:
    lines = [f"b{n}: &a{n} {each.format(n - 1)}\n" for n in range(1, 60)]
    (tmp_path / "a.yaml").write_text("b0: &a0 {fps: 1}\n" + "".join(lines) + "frames: *a59\n")
    with pytest.raises(HsplatError, match="merges"):
        config.load(tmp_path / "a.mp4", file=tmp_path / "a.yaml")


def test_a_few_merges_are_fine(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("poses: &size {height: 1.8}\noptimize: {<<: *size}\n")
    loaded: Any = config.load(tmp_path / "a.mp4", file=tmp_path / "a.yaml")
    assert loaded.optimize.height == 1.8


def test_a_configuration_of_megabytes_is_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("#" * 2**20)
    with pytest.raises(HsplatError, match="more than 256 KiB"):
        config.load(tmp_path / "a.mp4", file=tmp_path / "a.yaml")


@OURS
@given(content=st.one_of(JSON.map(json.dumps).map(str.encode), st.binary(max_size=40)))
@example(b"[" * 9999)
@example(b'{"outputs": {"../../secret": {"size": 1, "mtime_ns": 1, "sha256": ""}}}')
def test_any_manifest_is_damaged(tmp_path: Path, content: bytes) -> None:
    place = Workspace(tmp_path)
    place.stage_folder("masks").mkdir(exist_ok=True)
    (place.stage_folder("masks") / "manifest.json").write_bytes(content)
    (tmp_path / "workspace.json").write_bytes(content)
    with pytest.raises(Damaged):
        place.manifest("masks")
    with pytest.raises(Damaged):
        place.record()


def test_a_mask_of_too_many_pixels_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", 20_000, 20_000, 16, 0, 0, 0, 0)
    content = chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(ValueError, match="not a picture"):
        read_coverage(tmp_path / "a.png")
    with pytest.raises(HsplatError, match="cannot be read as a picture"):
        _read_png(tmp_path / "a.png")
