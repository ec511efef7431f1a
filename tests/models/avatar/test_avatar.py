from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.avatar import Avatar
from models.body import BodyModel, Motion
from models.body.transfer import SMPL_PELVIS
from models.cameras import Camera
from models.errors import InputError
from tests.models.avatar.scenes import CAMERA, HEIGHT, WIDTH, K, true_motion


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
    first = avatar.pose(pose, trans).render(Camera(K, WIDTH, HEIGHT, moved))
    second = avatar.pose(pose, trans + moved[:3, 3]).render(CAMERA)
    torch.testing.assert_close(first, second, atol=1e-4, rtol=0)


def test_background_shows_where_the_avatar_is_not(avatar: Avatar) -> None:
    pose, trans = (a[0] for a in true_motion(3))
    green = torch.tensor([0.0, 1.0, 0.0])
    picture = avatar.pose(pose, trans).render(CAMERA, background=green)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    torch.testing.assert_close(picture[0, 0], green)
    assert (picture[HEIGHT // 2, WIDTH // 2] - green).abs().max() > 0.1


def test_a_batch_of_poses_is_each_pose(avatar: Avatar) -> None:
    poses, trans = true_motion(3)
    together = avatar.pose(poses, trans)
    assert together.means.shape == (3, len(avatar), 3)
    pictures, place = together.render(CAMERA), avatar.pose(poses, trans[0])
    assert pictures.shape == (3, HEIGHT, WIDTH, 4)
    for t in range(3):
        alone = avatar.pose(poses[t], trans[t])
        torch.testing.assert_close(pictures[t], alone.render(CAMERA))
        torch.testing.assert_close(together.rotations[t], alone.rotations)
        torch.testing.assert_close(place.means[t], avatar.pose(poses[t], trans[0]).means)


def test_a_batch_of_cameras_sees_one_pose_or_each_its_own(avatar: Avatar) -> None:
    poses, trans = true_motion(3)
    orbits = [CAMERA.orbited([0, 0, 3], [0, -1, 0], angle) for angle in (0.0, 0.4, 0.8)]
    places = torch.stack([one.T_cam_world for one in orbits])
    several = Camera(K, WIDTH, HEIGHT, places)
    one, each = avatar.pose(poses[0], trans[0]).render(several), avatar.pose(poses, trans).render(several)
    smaller = Camera(np.diag([0.5, 0.5, 1]) @ K, WIDTH, HEIGHT)
    every_K = Camera(np.stack([K, K, smaller.K.numpy()]), WIDTH, HEIGHT)
    with_their_own = avatar.pose(poses[0], trans[0]).render(every_K)
    for t, orbit in enumerate(orbits):
        torch.testing.assert_close(one[t], avatar.pose(poses[0], trans[0]).render(orbit))
        torch.testing.assert_close(each[t], avatar.pose(poses[t], trans[t]).render(orbit))
    torch.testing.assert_close(with_their_own[1], avatar.pose(poses[0], trans[0]).render(CAMERA))
    torch.testing.assert_close(with_their_own[2], avatar.pose(poses[0], trans[0]).render(smaller))


def test_arrays_are_poses_too_and_without_trans_the_pelvis_rests(avatar: Avatar) -> None:
    turned = np.zeros(72)
    turned[1] = 1.0
    posed = avatar.pose(turned)
    torch.testing.assert_close(posed.means, avatar.pose(torch.from_numpy(turned), torch.zeros(3)).means)
    pelvis = posed.transforms[0, :3, :3] @ avatar.rest_joints[0] + posed.transforms[0, :3, 3]
    torch.testing.assert_close(pelvis, avatar.rest_joints[0])


def test_gradients_reach_the_pose(avatar: Avatar) -> None:
    poses, trans = (a[0].clone().requires_grad_() for a in true_motion(3))
    avatar.pose(poses, trans).render(CAMERA).sum().backward()
    assert poses.grad is not None and poses.grad.abs().max() > 0
    assert trans.grad is not None and trans.grad.abs().max() > 0


def test_a_motion_of_another_body_keeps_its_pelvis(avatar: Avatar, body: BodyModel) -> None:
    poses, trans = (a.numpy() for a in true_motion(3))
    motion = Motion(
        poses, trans, np.zeros(10), K, np.arange(3), 10.0, WIDTH, HEIGHT, "smpl", valid=np.ones(3, bool)
    )
    torch.testing.assert_close(avatar.trans_for(replace(motion, body="embedded")), torch.from_numpy(trans))
    shift = torch.from_numpy(SMPL_PELVIS).float() - avatar.rest_joints[0]
    torch.testing.assert_close(avatar.trans_for(motion), torch.from_numpy(trans) + shift)
    joints = np.zeros((3, 24, 3), np.float32)
    joints[:, 0] = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    posed = avatar.pose(poses, avatar.trans_for(replace(motion, joints=joints)))
    pelvis = posed.transforms[:, 0, :3, :3] @ avatar.rest_joints[0] + posed.transforms[:, 0, :3, 3]
    torch.testing.assert_close(pelvis, torch.from_numpy(joints[:, 0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("poses", "trans", "reason"),
    [
        (np.zeros(69), None, "72"),
        (np.zeros((2, 3, 72)), None, "72"),
        (np.zeros((0, 72)), None, "72"),
        (np.full(72, np.nan), None, "finite"),
        (np.zeros(72), np.full(3, np.inf), "finite"),
        (np.zeros(72), np.zeros(4), r"trans must be \(3,\)"),
        (np.zeros((2, 72)), np.zeros((3, 3)), "trans"),
        (np.zeros(72), np.zeros((2, 3)), "trans"),
    ],
)
def test_poses_that_are_none_are_refused(
    avatar: Avatar, poses: np.ndarray, trans: np.ndarray | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        avatar.pose(poses, trans)


@pytest.mark.parametrize(("width", "height"), [(96, 128), (33, 47), (640, 360), (512, 512)])
def test_a_gaussian_is_seen_where_the_camera_projects_it(avatar: Avatar, width: int, height: int) -> None:
    """With pixel centres at +0.5, the centre of mass of a round Gaussian's picture is there."""
    place, focal = torch.tensor([0.13, -0.21, 2.9]), 0.9 * height
    camera = Camera([[focal, 0, 0.52 * width], [0, focal, 0.47 * height], [0, 0, 1]], width, height)
    rest = {name: value[:1] for name, value in vars(avatar).items() if name in ("quaternions", "weights")}
    alone = replace(
        avatar,
        **rest,
        means=place[None],
        colors=torch.ones(1, 3),
        log_scales=torch.full((1, 3), 5.0 / height).log(),
        opacity_logits=torch.tensor([3.0]),
        coverage=torch.ones(1),
    )
    alpha = alone.pose(np.zeros(72)).render(camera)[..., 3].double()
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    seen = torch.stack([(alpha * x).sum(), (alpha * y).sum()]) / alpha.sum()
    expected = camera.K @ place.double()
    torch.testing.assert_close(seen, expected[:2] / expected[2], atol=0.01, rtol=0)


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
        ({"version": np.array([1, 1])}, "version"),
        ({"version": np.array("one")}, "version"),
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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_it_is_the_same_picture(avatar: Avatar) -> None:
    poses, trans = true_motion(3)
    moved = CAMERA.orbited([0, 0, 3], [0, -1, 0], 0.5)
    expected = avatar.pose(poses, trans).render(moved, background=torch.ones(3))
    drawn = avatar.to("cuda").pose(poses, trans).render(moved, background=torch.ones(3))
    assert drawn.device.type == "cuda"
    assert (drawn.cpu() - expected).abs().mean() < 0.002


@pytest.mark.parametrize("version", [np.array([1, 2]), np.array("one"), np.array(b"1"), np.array(99)])
def test_an_avatar_of_another_version_is_refused(avatar: Avatar, tmp_path: Path, version: np.ndarray) -> None:
    avatar.save(tmp_path / "avatar.npz")
    with np.load(tmp_path / "avatar.npz") as stored:
        np.savez(tmp_path / "avatar.npz", **{**stored, "version": version})
    with pytest.raises(InputError, match=r"avatar\.npz: avatar of version"):
        Avatar.load(tmp_path / "avatar.npz")


def test_a_file_that_is_no_archive_is_no_avatar(avatar: Avatar, tmp_path: Path) -> None:
    avatar.save(tmp_path / "good.npz")
    good = (tmp_path / "good.npz").read_bytes()
    damaged = good[:200] + bytes(255 - byte for byte in good[200:400]) + good[400:]
    for name, content in {"empty": b"", "text": b"avatar", "cut": good[:-50], "damaged": damaged}.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name in ("empty", "text", "cut", "damaged", "single.npy", "absent", "."):
        with pytest.raises(InputError, match="cannot be read as an avatar"):
            Avatar.load(tmp_path / name)
