"""Skeletons as other programs write them, with random motions, as BVH."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FRAMES = 6


@dataclass
class Joint:
    """Its name, where it is in the rest pose, and those below it."""

    name: str
    place: tuple[float, float, float]
    children: list["Joint"] = field(default_factory=list)


def chain(*joints: tuple[str, tuple[float, float, float]], below: list[Joint] | None = None) -> Joint:
    """Joints one below the other; `below` under the last."""
    (name, place), *others = joints
    return Joint(name, place, [chain(*others, below=below)] if others else below or [])


def mixamo() -> Joint:
    """Centimetres, T-pose, facing +Z."""

    def arm(side: str, x: int) -> Joint:
        name = f"mixamorig:{side}"
        return chain(
            (f"{name}Shoulder", (6 * x, 144, 0)),
            (f"{name}Arm", (18 * x, 144, -1)),
            (f"{name}ForeArm", (46 * x, 144, -1)),
            (f"{name}Hand", (74 * x, 144, -1)),
            (f"{name}HandIndex1", (84 * x, 144, 1)),
        )

    def leg(side: str, x: int) -> Joint:
        name = f"mixamorig:{side}"
        return chain(
            (f"{name}UpLeg", (9 * x, 94, 0)),
            (f"{name}Leg", (9 * x, 51, 0.5)),
            (f"{name}Foot", (9 * x, 9, -2)),
            (f"{name}ToeBase", (10 * x, 1, 11)),
        )

    head = chain(
        ("mixamorig:Neck", (0, 150, 0)),
        ("mixamorig:Head", (0, 160, 2)),
        ("mixamorig:HeadTop_End", (0, 180, 4)),
    )
    spine = chain(
        ("mixamorig:Spine", (0, 110, -1)),
        ("mixamorig:Spine1", (0, 122, -1)),
        ("mixamorig:Spine2", (0, 134, -1)),
        below=[head, arm("Left", 1), arm("Right", -1)],
    )
    return Joint("mixamorig:Hips", (0, 100, 0), [spine, leg("Left", 1), leg("Right", -1)])


def cmu() -> Joint:
    """Inches, arms hanging aslant, legs apart, a joint more in each hip."""

    def arm(side: str, x: int) -> Joint:
        return chain(
            (f"{side}Shoulder", (0, 54, 0)),
            (f"{side}Arm", (7 * x, 55, -0.5)),
            (f"{side}ForeArm", (14 * x, 47, -0.5)),
            (f"{side}Hand", (19 * x, 40, 1)),
            (f"{side}FingerBase", (20 * x, 38, 1)),
        )

    def leg(side: str, x: int) -> Joint:
        return chain(
            (f"{side[0]}HipJoint", (0, 37, 0)),
            (f"{side}UpLeg", (3.5 * x, 36, 0)),
            (f"{side}Leg", (8 * x, 20, 0.2)),
            (f"{side}Foot", (12 * x, 4, -0.5)),
            (f"{side}ToeBase", (13 * x, 1, 4)),
        )

    head = chain(("Neck", (0, 55, 0)), ("Neck1", (0, 58, 0)), ("Head", (0, 61, 1)))
    spine = chain(
        ("LowerBack", (0, 38, 0)),
        ("Spine", (0, 42, -0.5)),
        ("Spine1", (0, 47, -0.5)),
        below=[head, arm("Left", 1), arm("Right", -1)],
    )
    return Joint("Hips", (0, 37, 0), [leg("Left", 1), leg("Right", -1), spine])


def biped() -> Joint:
    """Metres, Z up, facing -Y, a root above the pelvis, two joints of the spine."""

    def limb(side: str, x: int, *parts: tuple[str, float, float, float]) -> Joint:
        return chain(*((f"Bip01 {side} {part}", (x * a, b, c)) for part, a, b, c in parts))

    arms = [
        limb(
            side,
            x,
            ("Clavicle", 0.04, 0, 1.4),
            ("UpperArm", 0.18, 0, 1.4),
            ("Forearm", 0.4, 0.01, 1.2),
            ("Hand", 0.55, 0, 1.0),
        )
        for side, x in (("L", 1), ("R", -1))
    ]
    legs = [
        limb(
            side,
            x,
            ("Thigh", 0.1, 0, 0.9),
            ("Calf", 0.12, 0, 0.5),
            ("Foot", 0.13, 0.03, 0.1),
            ("Toe0", 0.14, -0.1, 0.02),
        )
        for side, x in (("L", 1), ("R", -1))
    ]
    neck = chain(("Bip01 Neck", (0, 0, 1.45)), ("Bip01 Head", (0, 0, 1.55)))
    spine = chain(("Bip01 Spine", (0, 0, 1.1)), ("Bip01 Spine1", (0, 0, 1.25)), below=[neck, *arms])
    return Joint("Bip01", (0, 0, 1), [Joint("Bip01 Pelvis", (0, 0, 1), [*legs, spine])])


def bvh(root: Joint, order: str = "ZXY", seed: int = 0, still: bool = False, six: bool = False) -> str:
    """The file of a random motion, or of the rest pose.

    Args:
        six: every joint has positions, too.
    """
    rng = np.random.default_rng(seed)
    lines, columns = ["HIERARCHY"], []
    turning = " ".join(f"{axis}rotation" for axis in order)

    def write(joint: Joint, parent: Joint | None, indent: str) -> None:
        offset = np.subtract(joint.place, parent.place if parent else (0, 0, 0))
        placed = six or parent is None
        kinds = f"6 Xposition Yposition Zposition {turning}" if placed else f"3 {turning}"
        lines.extend([f"{indent}{'JOINT' if parent else 'ROOT'} {joint.name}", f"{indent}{{"])
        lines.append(f"{indent}\tOFFSET " + " ".join(map(str, offset)))
        lines.append(f"{indent}\tCHANNELS {kinds}")
        if placed:
            columns.append(np.broadcast_to(offset, (FRAMES, 3)))
        angles = np.zeros((FRAMES, 3)) if still else rng.normal(0, 25 if parent else 10, (FRAMES, 3))
        columns.append(angles)
        for child in joint.children:
            write(child, joint, indent + "\t")
        if not joint.children:
            lines.extend(
                [f"{indent}\tEnd Site", f"{indent}\t{{", f"{indent}\t\tOFFSET 0 1 0", f"{indent}\t}}"]
            )
        lines.append(f"{indent}}}")

    write(root, None, "")
    rows = np.concatenate(columns, axis=1)
    lines += ["MOTION", f"Frames: {FRAMES}", "Frame Time: 0.0083333"]
    return "\n".join([*lines, *(" ".join(f"{value:.6f}" for value in row) for row in rows)]) + "\n"


def save(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
