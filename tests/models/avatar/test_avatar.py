from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import BodyModel
from models.errors import InputError
from tests.models.avatar.scenes import HEIGHT, WIDTH, K, true_motion


def test_saved_avatar_loads_as_it_was(avatar: Avatar, tmp_path: Path) -> None:
    avatar.save(tmp_path / "avatar.npz")
    loaded = Avatar.load(tmp_path / "avatar.npz")
    for field in fields(Avatar):
        before, after = getattr(avatar, field.name), getattr(loaded, field.name)
        assert torch.equal(before, after) if isinstance(before, torch.Tensor) else before == after


def test_poses_like_the_body(avatar: Avatar, body: BodyModel) -> None:
    """A Gaussian on a vertex goes where smplx's convention takes the vertex."""
    on_vertices = replace(avatar, means=body.v_template[: len(avatar)], weights=body.weights[: len(avatar)])
    poses = 0.4 * torch.randn(72, generator=torch.Generator().manual_seed(0))
    trans = torch.tensor([0.2, -0.1, 3.0])
    expected = body.pose(poses[None], trans[None], torch.zeros(10)).vertices[0, : len(avatar)]
    torch.testing.assert_close(on_vertices.pose(poses, trans).means, expected, atol=1e-5, rtol=0)


def test_posed_rotations_are_rotations(avatar: Avatar) -> None:
    """Where joints disagree the blended matrix shrinks; the Gaussians must not."""
    poses = 0.8 * torch.randn(72, generator=torch.Generator().manual_seed(1))
    posed = avatar.pose(poses, torch.tensor([0.0, 0.0, 3.0]))
    identity = torch.eye(3).expand(len(avatar), 3, 3)
    torch.testing.assert_close(posed.rotations @ posed.rotations.mT, identity, atol=1e-4, rtol=0)
    assert (torch.linalg.det(posed.rotations) > 0).all()
    sizes = torch.linalg.eigvalsh(posed.covariances).sqrt()
    torch.testing.assert_close(sizes, posed.scales.sort(dim=1).values, atol=1e-5, rtol=1e-3)


def test_camera_motion_equals_opposite_body_motion(avatar: Avatar) -> None:
    pose, trans = (a[0] for a in true_motion(3))
    moved = torch.eye(4)
    moved[:3, 3] = torch.tensor([0.1, -0.05, 0.4])
    camera = torch.from_numpy(K).float()
    first = avatar.render(pose, trans, camera, WIDTH, HEIGHT, T_cam_world=moved)
    second = avatar.render(pose, trans + moved[:3, 3], camera, WIDTH, HEIGHT)
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0)


def test_background_shows_where_the_avatar_is_not(avatar: Avatar) -> None:
    pose, trans = (a[0] for a in true_motion(3))
    green = torch.tensor([0.0, 1.0, 0.0])
    picture = avatar.render(pose, trans, torch.from_numpy(K).float(), WIDTH, HEIGHT, background=green)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    torch.testing.assert_close(picture[0, 0], green)
    assert (picture[HEIGHT // 2, WIDTH // 2] - green).abs().max() > 0.1


def _damaged(path: Path, avatar: Avatar, **changes: np.ndarray) -> Path:
    avatar.save(path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez(path, **{**arrays, **changes})
    return path


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": np.array("something else")}, "not an avatar"),
        ({"version": np.array(99)}, "version 99"),
        ({"means": np.zeros((4, 3))}, "shape"),
        ({"colors": np.full((1500, 3), np.nan)}, "colors"),
        ({"parents": np.zeros(24, int)}, "tree"),
        ({"weights": np.zeros((1500, 24))}, "blend to one"),
        ({"body": np.array("stick figure")}, "stick figure"),
        ({"surplus": np.zeros(1)}, "surplus"),
        ({"log_scales": np.full((1500, 3), 80.0)}, "range"),
        ({"quaternions": np.zeros((1500, 4))}, "quaternions"),
    ],
)
def test_refuses_damaged_files(
    avatar: Avatar, tmp_path: Path, changes: dict[str, np.ndarray], reason: str
) -> None:
    path = _damaged(tmp_path / "avatar.npz", avatar, **changes)
    with pytest.raises(InputError, match=reason):
        Avatar.load(path)


@pytest.mark.parametrize("content", [b"", b"not a zip at all", b"PK\x03\x04 cut off"])
def test_refuses_files_that_are_no_archives(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "avatar.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"avatar\.npz"):
        Avatar.load(path)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.npz"):
        Avatar.load(tmp_path / "absent.npz")


def test_refuses_pickles(avatar: Avatar, tmp_path: Path) -> None:
    path = _damaged(tmp_path / "avatar.npz", avatar, body=np.array({"evil": 1}, dtype=object))
    with pytest.raises(InputError):
        Avatar.load(path)
