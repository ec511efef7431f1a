"""A body in SMPL's official format, made of tubes around the embedded body's bones: none of SMPL's data."""

import pickle
import sys
import tempfile
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from models.body import JOINT_NAMES, PARENTS, BodyModel, load_body, load_embedded_body
from models.body.transfer import SMPL_PELVIS

V, F = 6890, 13776
RINGS, SEGMENTS = 20, 12
SIZE = 0.94  # of the embedded body's
RADII = {
    "pelvis": 0.12, "spine1": 0.13, "spine2": 0.14, "spine3": 0.14, "neck": 0.06, "head": 0.1,
    "collar": 0.08, "shoulder": 0.055, "elbow": 0.05, "wrist": 0.04, "hand": 0.035,
    "hip": 0.08, "knee": 0.065, "ankle": 0.045, "foot": 0.04,
}  # fmt: skip


@lru_cache
def joints() -> np.ndarray:
    """(24, 3) the embedded body's, with the pelvis where SMPL's is."""
    template = SIZE * load_embedded_body().joint_template.double().numpy()
    return template - template[0] + SMPL_PELVIS


@lru_cache
def arrays() -> dict[str, Any]:
    """What the official file holds."""
    vertices, weights, faces, regressor = [], [], [], np.zeros((24, V))
    places = joints()
    for start, end, parent, child in _bones(places):
        first = sum(map(len, vertices))
        if child is not None:
            regressor[child, first + (RINGS - 1) * SEGMENTS : first + RINGS * SEGMENTS] = 1 / SEGMENTS
        if parent == 0 and child == JOINT_NAMES.index("spine1"):
            regressor[0, first : first + SEGMENTS] = 1 / SEGMENTS
        vertices.append(_tube(start, end, _radius(parent)))
        share = np.clip(np.linspace(-1, 1, RINGS), 0, 1).repeat(SEGMENTS)
        weight = np.zeros((RINGS * SEGMENTS + 2, 24))
        weight[:-2, parent] = 1 - (share / 2 if child is not None else 0)
        weight[:-2, child if child is not None else parent] += share / 2 if child is not None else 0
        weight[-2:, parent] = 1
        weights.append(weight)
        faces.append(_tube_faces() + first)
    points = np.concatenate(vertices)
    points = np.concatenate([points, np.tile(points[-1], (V - len(points), 1))])
    skin = np.concatenate(weights)
    skin = np.concatenate([skin, np.tile(skin[-1], (V - len(skin), 1))])
    triangles = np.concatenate(faces)
    triangles = np.concatenate([triangles, triangles[: F - len(triangles)]])
    generator = np.random.default_rng(0)
    shapes = generator.normal(0, 1e-4, (V, 3, 10))
    shapes[..., 0] = 0.03 * points  # taller
    shapes[:, 0, 1] = 0.05 * points[:, 0]  # wider
    return {
        "v_template": points,
        "f": triangles.astype(np.uint32),
        "weights": skin,
        "J_regressor": sparse.csc_matrix(regressor),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(24)], dtype=np.uint32),
        "posedirs": generator.normal(0, 1e-4, (V, 3, 207)).astype(np.float32),
        "shapedirs": shapes,
        "J": regressor @ points,
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def write_pickle(path: Path) -> Path:
    """The file as the official ones are: protocol 2, arrays of chumpy among its parts."""
    content = arrays()
    with _chumpy() as chumpy:
        shapes = chumpy("Ch", x=content["shapedirs"], _dirty_vars=set())
        path.write_bytes(pickle.dumps(content | {"shapedirs": shapes}, protocol=2))
    return path


def write_npz(path: Path) -> Path:
    """The same as npz."""
    content = arrays()
    numbers = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
    np.savez(path, J_regressor=content["J_regressor"].toarray(), **numbers)
    return path


@lru_cache
def smpl_body() -> BodyModel:
    """The body as it is read."""
    with tempfile.TemporaryDirectory() as folder:
        return load_body(write_npz(Path(folder) / "SMPL_NEUTRAL.npz"))


def _bones(places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, int, int | None]]:
    """Ends of each tube, the joint it turns with, and the joint at its far end, if there is one."""
    for child in range(1, 24):
        yield places[PARENTS[child]], places[child], PARENTS[child], child
    for name, reach in (
        ("head", (0, 0.2, 0)), ("left_hand", (0.1, 0, 0)), ("right_hand", (-0.1, 0, 0)),
        ("left_foot", (0, -0.02, 0.08)), ("right_foot", (0, -0.02, 0.08)),
    ):  # fmt: skip
        joint = JOINT_NAMES.index(name)
        yield places[joint], places[joint] + reach, joint, None


def _radius(joint: int) -> float:
    return SIZE * RADII[JOINT_NAMES[joint].split("_")[-1]]


def _tube(start: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """(RINGS * SEGMENTS + 2, 3), the tube's two tips last."""
    axis = (end - start) / np.linalg.norm(end - start)
    side = np.cross(axis, [0.3, 0.2, 0.9])
    side /= np.linalg.norm(side)
    angles = np.arange(SEGMENTS) * 2 * np.pi / SEGMENTS
    ring = np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * np.cross(axis, side)
    along = np.linspace(0, 1, RINGS)[:, None, None]
    body = start + along * (end - start) + radius * ring
    return np.concatenate([body.reshape(-1, 3), [start - radius * axis / 2, end + radius * axis / 2]])


def _tube_faces() -> np.ndarray:
    """(2 * RINGS * SEGMENTS, 3) counter-clockwise seen from outside."""
    first, last = RINGS * SEGMENTS, RINGS * SEGMENTS + 1
    faces = []
    for segment in range(SEGMENTS):
        after = (segment + 1) % SEGMENTS
        for ring in range(RINGS - 1):
            a, b = ring * SEGMENTS + segment, ring * SEGMENTS + after
            faces += [(a, b, a + SEGMENTS), (b, b + SEGMENTS, a + SEGMENTS)]
        end = (RINGS - 1) * SEGMENTS
        faces += [(first, after, segment), (end + segment, end + after, last)]
    return np.array(faces)


@contextmanager
def _chumpy() -> Iterator[Any]:
    """Classes by chumpy's names, there while a pickle is written."""
    module = types.ModuleType("chumpy.ch")
    module.Ch = type("Ch", (), {"__module__": "chumpy.ch"})  # type: ignore[attr-defined]
    names = {"chumpy": types.ModuleType("chumpy"), "chumpy.ch": module}
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)

    def make(kind: str, **state: Any) -> Any:
        thing = getattr(module, kind)()
        thing.__dict__.update(state)
        return thing

    try:
        yield make
    finally:
        for name, old in before.items():
            del sys.modules[name]
            if old is not None:
                sys.modules[name] = old
