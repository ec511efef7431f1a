"""Building the embedded body: its steps, and the whole of it where the `anny` package is installed."""

import numpy as np
import pytest
import torch

from models.body import JOINT_NAMES, load_embedded_body
from models.body.build_embedded import (
    PHENOTYPES,
    build,
    mirror_vertices,
    sample_phenotypes,
    shape_space,
    t_pose_rotations,
)
from models.body.skinning import forward_kinematics


def test_rebuilding_gives_the_shipped_file() -> None:
    pytest.importorskip("anny", reason="anny is not installed (dependency group `body`)")
    body, arrays = load_embedded_body(), build()
    for name in ("v_template", "joint_template", "weights", "joint_dirs", "shapedirs"):
        shipped, rebuilt = getattr(body, name), torch.from_numpy(arrays[name])
        if name in ("joint_dirs", "shapedirs"):  # LAPACK chooses the signs
            shipped, rebuilt = shipped.abs(), rebuilt.abs()
        torch.testing.assert_close(rebuilt, shipped, rtol=0, atol=1e-4)
    assert np.array_equal(arrays["faces"], body.faces)
    assert np.array_equal(arrays["mirror"], body.mirror)


def test_phenotypes_are_grown_up_and_repeatable() -> None:
    people = sample_phenotypes(200)
    assert people == sample_phenotypes(200)
    values = np.array([[person[label] for label in PHENOTYPES] for person in people])
    assert values.min() >= 0 and values.max() <= 1
    age = values[:, PHENOTYPES.index("age")]
    assert age.min() > 0.55 and age.max() < 0.95
    assert np.abs(values[:, 2:].mean(0) - 0.5).max() < 0.06


def test_shape_space_finds_what_varies() -> None:
    generator = np.random.default_rng(0)
    directions = np.linalg.qr(generator.normal(size=(60, 10)))[0] * np.linspace(10, 1, 10)
    joint_response = generator.normal(size=(72, 10))
    scores = generator.normal(size=(500, 10))
    vertices, joints = 3 + scores @ directions.T, 2 + scores @ joint_response.T
    shapedirs, joint_dirs = shape_space(vertices.reshape(500, 20, 3), joints.reshape(500, 24, 3))
    # Whatever the components are, a sample is the mean plus some of each, in vertices and joints alike.
    flat = shapedirs.reshape(60, 10)
    found, *_ = np.linalg.lstsq(flat, (vertices - vertices.mean(0)).T, rcond=None)
    np.testing.assert_allclose(flat @ found, (vertices - vertices.mean(0)).T, atol=1e-9)
    np.testing.assert_allclose(joint_dirs.reshape(72, 10) @ found, (joints - joints.mean(0)).T, atol=1e-9)
    np.testing.assert_allclose(found.std(1, ddof=1), 1)


def test_t_pose_stretches_the_arms_sideways() -> None:
    body = load_embedded_body()
    hanging = body.joint_template.double().clone()
    generator = torch.Generator().manual_seed(0)
    for name in ("left_elbow", "left_wrist", "right_elbow", "right_wrist"):
        shift = torch.rand(3, generator=generator, dtype=torch.float64) * torch.tensor([0.1, -0.3, 0.2])
        hanging[JOINT_NAMES.index(name)] += shift
    rotations = t_pose_rotations(hanging[None])
    _, posed = forward_kinematics(rotations, hanging, body.parents)
    joint = dict(zip(JOINT_NAMES, posed[0], strict=True))
    for side, sign in (("left", 1), ("right", -1)):
        for start, end in (("shoulder", "elbow"), ("elbow", "wrist")):
            bone = joint[f"{side}_{end}"] - joint[f"{side}_{start}"]
            expected = torch.tensor([sign * float(bone.norm()), 0, 0], dtype=torch.float64)
            torch.testing.assert_close(bone, expected, rtol=0, atol=1e-12)


def test_mirror_refuses_a_crooked_mesh() -> None:
    symmetric = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0]])
    assert mirror_vertices(symmetric).tolist() == [1, 0, 2]
    with pytest.raises(ValueError, match="not symmetric"):
        mirror_vertices(symmetric + 0.1)
