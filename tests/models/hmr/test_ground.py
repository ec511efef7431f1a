"""What standing means."""

import torch

from models.body import load_embedded_body
from models.body.rotations import axis_angle_to_matrix
from models.hmr.ground import feet_positions, level_plane, standing_loss, stands, tilt_loss


def stand(lean: float = 0.0, lift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Feet and joints of somebody upright three metres away, leaning back by `lean` about the feet."""
    body = load_embedded_body()
    poses = torch.zeros(4, 72)
    poses[:, 0] = torch.pi
    transforms, joints = body.articulate(poses, torch.tensor([[0.0, 0.2, 3.0]]).repeat(4, 1), torch.zeros(10))
    feet = feet_positions(transforms, joints)
    turn, pivot = axis_angle_to_matrix(torch.tensor([lean, 0.0, 0.0])), feet.mean((0, 1))
    up = torch.tensor([0.0, -lift, 0.0])
    return (feet - pivot) @ turn.T + pivot + up, (joints - pivot) @ turn.T + pivot + up


def test_standing_upright_costs_little_and_everything_else_more() -> None:
    feet, joints = stand()
    plane = level_plane(feet)
    upright = float(standing_loss(plane, feet, joints))
    assert upright < 0.2
    for lean, lift in ((0.2, 0.0), (-0.2, 0.0), (0.0, 0.3), (0.0, -0.3)):
        assert float(standing_loss(plane, *stand(lean, lift))) > upright + 0.05


def test_the_gradient_sets_the_leaning_upright() -> None:
    feet, joints = stand()
    plane = level_plane(feet)
    for lean in (0.1, -0.1):
        angle = torch.tensor(lean, requires_grad=True)
        turn = axis_angle_to_matrix(torch.stack((angle, torch.zeros(()), torch.zeros(()))))
        pivot = feet.mean((0, 1))
        moved = [(points - pivot) @ turn.T + pivot for points in (feet, joints)]
        standing_loss(plane, *moved).backward()
        assert angle.grad is not None and float(angle.grad) * lean > 0


def test_the_plane_is_level_where_the_feet_are() -> None:
    feet, _ = stand()
    plane = level_plane(feet)
    assert abs(float((feet @ plane[:3] + plane[3]).amin())) < 1e-5
    assert float(tilt_loss(plane)) == 0 < float(tilt_loss(plane + torch.tensor([0.1, 0, 0, 0])))


def test_a_camera_that_moves_has_no_ground() -> None:
    feet = stand()[0][:1].repeat(9, 1, 1)
    level = level_plane(feet)
    assert stands(level, feet)
    tilting = torch.linspace(-0.6, 0.6, 9)[:, None]  # metres in the camera's space
    feet[..., 1] += tilting
    assert not stands(level, feet)
