"""BVH: what is written has the joints where the motion has them, and other skeletons' motions arrive."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.body import JOINT_NAMES, BodyModel, load_embedded_body
from models.errors import InputError
from models.formats import read_bvh, write_bvh
from tests.models.formats.motions import T, joints_of, rest_joints, some_motion
from tests.models.formats.skeletons import Joint, biped, bvh, cmu, mixamo, save

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
            case ["ROOT" | "JOINT", *words]:
                name = " ".join(words)
            case ["End", "Site"]:
                name = ""
            case ["OFFSET", *values]:
                offset = np.array(values, float)
                if not name:
                    stack.append(stack[-1])
            case ["CHANNELS", count, *kinds]:
                values = rows[:, column : column + int(count)]
                column += int(count)
                shift = values[:, :3] if int(count) == 6 else offset
                order = "".join(kind[0] for kind in kinds if kind.endswith("rotation"))
                at, turn = stack[-1]
                places[name] = at + turn.apply(shift + np.zeros((len(rows), 3)))
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


@pytest.mark.parametrize("unit", ["m", "cm"])
def test_what_is_written_comes_back(tmp_path: Path, body: BodyModel, unit: str) -> None:
    motion = some_motion(body)
    rest = rest_joints(motion, body)
    write_bvh(tmp_path / "a.bvh", motion, rest, body.parents, unit)
    back, note = read_bvh(tmp_path / "a.bvh", rest, body.kind, motion.betas)
    assert {"m": "metres", "cm": "centimetres"}[unit] in note and "SMPL" in note
    assert back.fps == pytest.approx(motion.fps, rel=1e-6)
    assert back.joints is not None and motion.joints is not None
    assert np.abs(back.joints - motion.joints).max() < 1e-4
    turns = [Rotation.from_rotvec(m.poses.reshape(-1, 3)) for m in (back, motion)]
    assert (turns[0] * turns[1].inv()).magnitude().max() < 1e-4
    np.testing.assert_allclose(back.trans, motion.trans, atol=1e-4)
    np.testing.assert_allclose(joints_of(back, body), back.joints, atol=1e-5)


LIMBS = {
    "left_shoulder": "left_elbow", "left_elbow": "left_wrist", "right_shoulder": "right_elbow",
    "right_elbow": "right_wrist", "left_hip": "left_knee", "left_knee": "left_ankle",
    "right_hip": "right_knee", "right_knee": "right_ankle",
}  # fmt: skip
MIXAMO = ("UpLeg", "Leg", "Foot", "Arm", "ForeArm", "Hand")
SKELETONS = {
    "Mixamo": (mixamo(), "mixamorig:{side}", ("Left", "Right"), MIXAMO, HALF_TURN, 0.01),
    "CMU": (cmu(), "{side}", ("Left", "Right"), MIXAMO, HALF_TURN, 0.0254),
    "Biped": (
        biped(), "Bip01 {side} ", ("L", "R"), ("Thigh", "Calf", "Foot", "UpperArm", "Forearm", "Hand"),
        np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), 1.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "order", "six"), [("Mixamo", "ZXY", False), ("CMU", "ZYX", False), ("Biped", "XYZ", True)]
)
def test_limbs_of_other_skeletons_point_where_theirs_do(
    tmp_path: Path, body: BodyModel, kind: str, order: str, six: bool
) -> None:
    root, pattern, sides, parts, world, unit = SKELETONS[kind]
    text = bvh(root, order, six=six)
    rest = body.joint_template.numpy()
    motion, note = read_bvh(save(tmp_path / "a.bvh", text), rest)
    assert motion.joints is not None and motion.fps == pytest.approx(120, rel=1e-4)
    theirs = {
        f"{side}_{joint}": at @ world.T
        for side, called in zip(("left", "right"), sides, strict=True)
        for joint, part in zip(("hip", "knee", "ankle", "shoulder", "elbow", "wrist"), parts, strict=True)
        for at in [posed(text)[f"{pattern.format(side=called)}{part}"]]
    }
    ours = {name: motion.joints[:, j] for j, name in enumerate(JOINT_NAMES)}
    for start, end in LIMBS.items():
        first, second = (at[end] - at[start] for at in (theirs, ours))
        cosine = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
        assert cosine.min() > 1 - 1e-6, (start, note)
    # The middle of the hips is at theirs, in lengths of the legs.
    middles = [(at["left_hip"] + at["right_hip"]) / 2 for at in (theirs, ours)]
    scale = np.linalg.norm(middles[1], axis=1) / np.linalg.norm(middles[0], axis=1)
    assert (
        scale == pytest.approx(np.full(len(scale), scale[0]), rel=1e-4) and 0.7 * unit < scale[0] < 1.4 * unit
    )
    np.testing.assert_allclose(middles[1], scale[0] * middles[0], atol=1e-5)


@pytest.mark.parametrize("kind", list(SKELETONS))
def test_the_rest_pose_of_others_stands_upright_with_arms_and_legs_as_theirs(
    tmp_path: Path, body: BodyModel, kind: str
) -> None:
    """The trunk is ours: another rest pose's bent spine or lowered arms do not bend it."""
    motion, _ = read_bvh(save(tmp_path / "a.bvh", bvh(SKELETONS[kind][0], still=True)), body.joint_template)
    turns = Rotation.from_rotvec(motion.poses[0].reshape(24, 3)).magnitude()
    trunk = [
        JOINT_NAMES.index(name) for name in ("spine1", "spine2", "spine3", "neck", "head", "left_collar")
    ]
    assert turns[0] == pytest.approx(np.pi)  # upright, the face towards the camera
    assert turns[trunk] == pytest.approx(np.zeros(len(trunk)), abs=1e-6)
    assert motion.joints is not None
    head, ankle = (motion.joints[0, JOINT_NAMES.index(name)] for name in ("head", "left_ankle"))
    assert head[1] < ankle[1] - 1.3
    nose = Rotation.from_rotvec(motion.poses[0, :3]).apply([0, 0, 1])
    assert nose == pytest.approx([0, 0, -1], abs=1e-6)


@pytest.mark.parametrize(
    ("root", "chest", "beyond"),
    [(mixamo(), "mixamorig:Spine2", "mixamorig:LeftShoulder"), (cmu(), "Spine1", "Neck")],
)
def test_the_chest_turns_as_theirs_does(
    tmp_path: Path, body: BodyModel, root: Joint, chest: str, beyond: str
) -> None:
    still, moving = posed(bvh(root, still=True)), posed(bvh(root))
    motion, _ = read_bvh(save(tmp_path / "a.bvh", bvh(root)), body.joint_template)
    turns = Rotation.from_rotvec(motion.poses.reshape(-1, 3)).as_matrix().reshape(len(motion), 24, 3, 3)
    whole = turns[:, 0] @ turns[:, 3] @ turns[:, 6] @ turns[:, 9]
    expected = (moving[beyond] - moving[chest]) @ HALF_TURN
    np.testing.assert_allclose(whole @ (still[beyond] - still[chest])[0], expected, atol=1e-3)


def renamed(root: Joint) -> Joint:
    return Joint("bone", root.place, [renamed(child) for child in root.children])


GOOD = bvh(mixamo())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "HIERARCHY"),
        ("\x00\x01binary", "HIERARCHY"),
        (GOOD.replace("ROOT mixamorig:Hips", "JOINT mixamorig:Hips", 1), "no ROOT"),
        ("HIERARCHY\nMOTION\nFrames: 1\nFrame Time: 0.1\n", "no ROOT"),
        (GOOD.replace("MOTION", "ROOT Other\n{\nOFFSET 0 0 0\nCHANNELS 0\n}\nMOTION"), "more than one ROOT"),
        (GOOD.replace("CHANNELS 3", "CHANNELS 4", 1), "4 channels and names 3"),
        (GOOD.replace("Zrotation Xrotation Yrotation", "Zrotation Zrotation Yrotation", 1), "repeated"),
        (GOOD.replace("Zrotation Xrotation Yrotation", "Zrotation Xrotation Wrotation", 1), "unknown"),
        (GOOD[: len(GOOD) // 2], "cut off"),
        (GOOD[: GOOD.index("MOTION")], "cut off"),
        (GOOD[:-200], "cut off"),
        (GOOD.replace("Frames: 6", "Frames: 7"), "7 frames"),
        (GOOD.replace("Frames: 6", "Frames: -1"), "-1 frames"),
        (GOOD.replace("Frames: 6", "Frames: many"), "no number"),
        (GOOD.replace("Frame Time: 0.0083333", "Frame Time: 0"), "0 seconds"),
        (GOOD.replace("Frame Time: 0.0083333", "Frame Time: 1e9"), "1e\\+09 seconds"),
        (GOOD.replace("Frame Time: 0.0083333", "Frame Time: 1e-5"), "1e-05 seconds"),
        (GOOD.replace("OFFSET 0 1 0", "OFFSET 0 1", 1), "2 numbers"),
        (GOOD.replace("OFFSET 0 1 0", "OFFSET 0 nan 0", 1), "finite"),
        (
            GOOD[: GOOD.rindex("0083333") + 8] + GOOD[GOOD.rindex("0083333") + 8 :].replace("0.", "x", 1),
            "no number",
        ),
        (GOOD.replace("LeftForeArm", "LeftTentacle"), "left_elbow"),
        (bvh(renamed(mixamo())), "cannot be mapped"),
        ("HIERARCHY\n" + "ROOT a {\n" * 3000, "cannot have the joint|more than one ROOT"),
    ],
)
def test_files_that_are_none_are_refused(tmp_path: Path, body: BodyModel, text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as told:
        read_bvh(save(tmp_path / "a.bvh", text), body.joint_template)
    assert "a.bvh" in told.value.problem and told.value.next_step


@pytest.mark.parametrize(
    "written",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("Frames: ", "Frames:").replace("Frame Time: ", "Frame Time:"),
        lambda text: text.replace("Frames:", "Frames :").replace("Frame Time:", "Frame  Time\t:\t"),
    ],
    ids=["byte-order mark", "no spaces", "more spaces"],
)
def test_other_ways_of_writing_the_same(
    tmp_path: Path, body: BodyModel, written: Callable[[str], str]
) -> None:
    plain, _ = read_bvh(save(tmp_path / "a.bvh", GOOD), body.joint_template)
    other, _ = read_bvh(save(tmp_path / "b.bvh", written(GOOD)), body.joint_template)
    assert other.fps == plain.fps
    np.testing.assert_array_equal(other.poses, plain.poses)


def test_a_missing_file_is_told(tmp_path: Path, body: BodyModel) -> None:
    with pytest.raises(InputError, match=r"absent\.bvh"):
        read_bvh(tmp_path / "absent.bvh", body.joint_template)
