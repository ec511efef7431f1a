from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from models.body import BodyModel, retarget
from stages.export.changes import joint_changes, path_from_above, sides_seen
from stages.export.clip import Clip
from tests.stages.export.conftest import FRAMES, UNSEEN


def test_a_turned_joint_is_found_and_what_it_moves(clip: Clip, body: BodyModel) -> None:
    poses = clip.refined.poses.reshape(FRAMES, 24, 3).copy()
    poses[:, 18] = [0, -0.2, 0]  # the left elbow
    poses[3, 18] = [0, -0.5, 0]
    poses[UNSEEN, 18] = [0, -3, 0]
    turned = retarget(replace(clip.refined, poses=poses.reshape(FRAMES, 72), joints=None), body)
    changes = {one.name: one for one in joint_changes(replace(clip, initial=clip.refined, refined=turned))}
    elbow = changes.pop("left_elbow")
    assert elbow.mean == pytest.approx(np.degrees((6 * 0.2 + 0.5) / 7), abs=1e-3)
    assert elbow.largest == pytest.approx(np.degrees(0.5), abs=1e-3)
    assert elbow.largest_frame == 3
    assert elbow.moved == pytest.approx(0, abs=1e-3)
    assert all(one.mean == pytest.approx(0, abs=1e-3) for one in changes.values())
    assert changes["left_wrist"].moved > 30
    assert changes["right_wrist"].moved == pytest.approx(0, abs=1e-3)


def test_a_whole_turn_counts_as_none(clip: Clip) -> None:
    poses = clip.refined.poses.reshape(FRAMES, 24, 3).copy()
    poses[:, 5] = [2 * np.pi, 0, 0]
    turned = replace(clip.refined, poses=poses.reshape(FRAMES, 72))
    knee = joint_changes(replace(clip, refined=turned))[5]
    assert knee.name == "right_knee"
    assert knee.mean == pytest.approx(0, abs=1e-3)


def test_nobody_has_no_changes(clip: Clip) -> None:
    nobody = replace(clip, refined=replace(clip.refined, valid=np.zeros(FRAMES, bool)))
    assert list(joint_changes(nobody)) == []
    assert sum(sides_seen(nobody).values()) == 0


def test_the_path_goes_right_and_away(clip: Clip) -> None:
    steps = np.arange(FRAMES)[:, None, None] * np.float32([0.1, 0, 0.2])
    walked = replace(clip.refined, joints=clip.refined.joints[:1] + steps)
    path = path_from_above(replace(clip, refined=walked))
    assert np.isnan(path.after[UNSEEN]).all()
    assert path.after[3] - path.after[0] == pytest.approx([0.3, 0.6], abs=0.02)
    assert path.after[0] == pytest.approx(clip.refined.joints[0, 0][[0, 2]], abs=0.05)


def test_a_tilted_camera_does_not_shorten_the_path(clip: Clip) -> None:
    tilt = Rotation.from_euler("x", 20, degrees=True)
    joints = clip.refined.joints[:1] + np.arange(FRAMES)[:, None, None] * np.float32([0, 0, 0.2])
    seen = tilt.apply(joints.reshape(-1, 3)).reshape(joints.shape).astype(np.float32)
    path = path_from_above(replace(clip, refined=replace(clip.refined, joints=seen)))
    assert path.after[5] - path.after[0] == pytest.approx([0, 1], abs=0.02)


@pytest.mark.parametrize(
    "degrees, side",
    [(0, "the front"), (40, "the front"), (90, "the right"), (180, "the back"), (270, "the left")],
)
def test_sides_are_the_persons_own(clip: Clip, degrees: float, side: str) -> None:
    poses = clip.refined.poses.copy()
    turned = Rotation.from_euler("y", -degrees, degrees=True) * Rotation.from_rotvec(
        clip.refined.poses[0, :3]
    )
    poses[:, :3] = turned.as_rotvec()
    seen = sides_seen(replace(clip, refined=replace(clip.refined, poses=poses)))
    assert seen.pop(side) == FRAMES - 1
    assert not any(seen.values())
