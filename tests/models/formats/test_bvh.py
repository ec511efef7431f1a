"""BVH: what is written has the joints where the motion has them, and other skeletons' motions arrive."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.body import JOINT_NAMES, BodyModel, load_embedded_body
from models.formats import write_bvh
from tests.models.formats.motions import T, joints_of, rest_joints, some_motion

HALF_TURN = np.diag([1.0, -1.0, -1.0])


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_embedded_body()


def posed(text: str) -> dict[str, NDArray[np.float64]]:
    """Joint places (T, 3) in the file's world, by name: the format's definition, told anew."""
    head, numbers = text.split("MOTION")
    rows = np.array([line.split() for line in numbers.strip().splitlines()[2:]], float)
    stack: list[tuple[NDArray[np.float64], Rotation]] = [(np.zeros(3), Rotation.identity())]
    places, name, column = {}, "", 0
    offset = np.zeros(3)
    for line in head.splitlines():
        match line.split():
            case ["ROOT" | "JOINT", name]:
                pass
            case ["End", "Site"]:
                name = ""
            case ["OFFSET", *values]:
                offset = np.array(values, float)
                if not name:
                    stack.append(stack[-1])
            case ["CHANNELS", count, *kinds]:
                values = rows[:, column : column + int(count)]
                column += int(count)
                shift = values[:, :3] if int(count) == 6 else np.zeros(3)
                order = "".join(kind[0] for kind in kinds if kind.endswith("rotation"))
                at, turn = stack[-1]
                places[name] = at + turn.apply(offset + shift + np.zeros((len(rows), 3)))
                stack.append((places[name], turn * Rotation.from_euler(order, values[:, -3:], degrees=True)))
            case ["}"]:
                stack.pop()
    return places


@pytest.mark.parametrize(("unit", "metre"), [("m", 1.0), ("cm", 100.0)])
def test_joints_are_where_the_motion_has_them(
    tmp_path: Path, body: BodyModel, unit: str, metre: float
) -> None:
    motion = some_motion(body)
    write_bvh(tmp_path / "a.bvh", motion, rest_joints(motion, body), body.parents, unit)
    text = (tmp_path / "a.bvh").read_text()
    assert text.count("ROOT") == 1 and text.count("JOINT") == 23 and text.count("End Site") == 5
    assert f"Frames: {T}\nFrame Time: 0.033366700\n" in text
    places = posed(text)
    for joint, name in enumerate(JOINT_NAMES):
        expected = joints_of(motion, body)[:, joint] @ HALF_TURN * metre
        assert np.abs(places[name] - expected).max() < 2e-5 * metre


def test_another_skeleton_keeps_the_pelvis(tmp_path: Path, body: BodyModel) -> None:
    motion = some_motion(body)
    larger = 1.2 * rest_joints(motion, body)
    write_bvh(tmp_path / "a.bvh", motion, larger, body.parents)
    pelvis = posed((tmp_path / "a.bvh").read_text())["pelvis"]
    assert np.abs(pelvis - joints_of(motion, body)[:, 0] @ HALF_TURN).max() < 1e-5


def test_angles_do_not_jump(tmp_path: Path, body: BodyModel) -> None:
    motion = some_motion(body)
    poses = np.zeros((60, 72), np.float32)
    poses[:, 1] = np.linspace(0, 4 * np.pi, 60)  # two turns about the vertical axis
    turning = replace(motion, poses=poses, trans=np.zeros((60, 3), np.float32), joints=None)
    write_bvh(tmp_path / "a.bvh", turning, rest_joints(motion, body), body.parents)
    rows = np.loadtxt((tmp_path / "a.bvh").read_text().splitlines()[-60:])
    assert np.abs(np.diff(rows, axis=0)).max() < 13
    assert np.ptp(rows[:, 5]) == pytest.approx(720, abs=0.01)


def test_nothing_that_is_no_number_is_written(tmp_path: Path, body: BodyModel) -> None:
    motion = some_motion(body)
    poses = motion.poses.copy()
    poses[2, 5] = np.nan
    with pytest.raises(ValueError):
        write_bvh(tmp_path / "a.bvh", replace(motion, poses=poses), rest_joints(motion, body), body.parents)
    with pytest.raises(ValueError, match="24"):
        write_bvh(tmp_path / "a.bvh", motion, np.zeros((22, 3)), body.parents)
    assert not (tmp_path / "a.bvh").exists()
