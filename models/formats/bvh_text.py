"""The text of a BVH file, taken apart and checked."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.body.motion import RATES
from models.errors import InputError
from models.files import read_bounded

Array = NDArray[np.float64]

LARGEST_FILE = 2**27  # bytes: half an hour of a usual skeleton at 60 frames a second
MOST_JOINTS = 2000
NEXT_STEP = "Export it again as BVH, one skeleton with one ROOT, or give a motion.npz or an AMASS npz."

_AXES = "XYZ"
# Not every program writes the space after the colon.
_COUNT = re.compile(r"\s*Frames\s*:\s*(\S+)\s*")
_TIME = re.compile(r"\s*Frame\s+Time\s*:\s*(\S+)\s*")


@dataclass(frozen=True, eq=False)
class Recording:
    """T frames of a skeleton of J joints, in the file's axes and its unit.

    Attributes:
        names: of the joints; a parent comes before its children.
        parents: of the joints, -1 the root's.
        offsets: (J, 3) from the parent, in the rest pose.
        positions: (T, J, 3) from the parent: the offset, or what position channels say instead.
        rotations: (T, J, 3, 3) relative to the parent.
        fps: frames a second.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: Array
    positions: Array
    rotations: Array
    fps: float

    def rest(self) -> Array:
        """(J, 3) joint places of the rest pose, the root's own offset included."""
        places = self.offsets.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                places[joint] += places[parent]
        return places

    def posed(self) -> tuple[Array, Array]:
        """Places (T, J, 3) and rotations (T, J, 3, 3) of all joints in the file's world."""
        places, turns = self.positions.copy(), self.rotations.copy()
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                places[:, joint] = places[:, parent] + np.einsum(
                    "tij,tj->ti", turns[:, parent], self.positions[:, joint]
                )
                turns[:, joint] = turns[:, parent] @ self.rotations[:, joint]
        return places, turns


def parse_bvh(path: Path) -> Recording:
    """Reads a BVH file.

    Raises:
        InputError: it is no BVH file, is cut off, has no or several roots, or values that are not finite; the
            message has the line.
    """
    try:
        text = read_bounded(path, LARGEST_FILE).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror or error}") from error
    return _Parser(path, text).recording()


def refusal(path: Path, problem: str) -> InputError:
    """What to raise about a BVH file."""
    return InputError(f"BVH file {path} {problem}.", NEXT_STEP)


class _Parser:
    """The lines of one file, read from top to bottom."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        head, *rest = re.split(r"^[ \t]*MOTION[ \t\r]*$", text, maxsplit=1, flags=re.MULTILINE)
        # Some programs put a brace on the line of the name.
        lines = (line.split() for line in head.replace("{", "\n{\n").replace("}", "\n}\n").splitlines())
        self.lines = [words for words in lines if words]
        self.rows = [row for row in rest[0].splitlines() if row.strip()] if rest else None
        self.at = 0
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[Array] = []
        self.channels: list[list[str]] = []

    def recording(self) -> Recording:
        if not self.lines or self.lines[0] != ["HIERARCHY"]:
            raise self.refused("does not begin with HIERARCHY")
        self.at = 1
        self._hierarchy()
        values, fps = self._motion()
        count = len(self.names)
        offsets = np.array(self.offsets)
        positions = np.broadcast_to(offsets, (len(values), count, 3)).copy()
        rotations = np.broadcast_to(np.eye(3), (len(values), count, 3, 3)).copy()
        column = 0
        for joint, kinds in enumerate(self.channels):
            own = values[:, column : column + len(kinds)]
            column += len(kinds)
            turning = [place for place, kind in enumerate(kinds) if kind.endswith("rotation")]
            for place, kind in enumerate(kinds):
                if kind.endswith("position"):
                    positions[:, joint, _AXES.index(kind[0])] = own[:, place]
            if turning:
                order = "".join(kinds[place][0] for place in turning)
                rotations[:, joint] = Rotation.from_euler(order, own[:, turning], degrees=True).as_matrix()
        return Recording(tuple(self.names), tuple(self.parents), offsets, positions, rotations, fps)

    def _hierarchy(self) -> None:
        """All joints; `open_joints` holds those whose brace is open, None for the end of a limb."""
        open_joints: list[int | None] = []
        while self.at < len(self.lines):
            words = self._next("the hierarchy")
            match words:
                case ["ROOT" | "JOINT" as kind, *name]:
                    self._joint(kind, " ".join(name), open_joints)
                    continue
                case ["End", *_] if open_joints and open_joints[-1] is not None:
                    self._brace()
                    open_joints.append(None)
                    continue
            if not open_joints:
                raise self.refused(f"has '{' '.join(words)[:40]}' where a ROOT should begin")
            joint = open_joints[-1]
            match words:
                case ["OFFSET", *numbers]:
                    offset = self._numbers(numbers, 3, "OFFSET")
                    if joint is not None:
                        self.offsets[joint] = offset
                case ["CHANNELS", *kinds] if joint is not None:
                    self.channels[joint] = self._kinds(joint, kinds)
                case ["}"]:
                    open_joints.pop()
                case _:
                    raise self.refused(f"has '{' '.join(words)[:40]}' in the hierarchy")
        if open_joints or (self.names and self.rows is None):
            raise self.refused("is cut off in the hierarchy, or a closing brace or MOTION is missing")
        if not self.names:
            raise self.refused("has no ROOT")

    def _joint(self, kind: str, name: str, open_joints: list[int | None]) -> None:
        parent = open_joints[-1] if open_joints else -1
        if kind == "JOINT" and not open_joints:
            raise self.refused(f"has no ROOT: the joint '{name}' has no parent")
        if kind == "ROOT" and self.names:
            raise self.refused(f"has more than one ROOT, '{self.names[0]}' and '{name}'")
        if parent is None or len(self.names) >= MOST_JOINTS:
            raise self.refused(f"cannot have the joint '{name}' here")
        self._brace()
        open_joints.append(len(self.names))
        self.names.append(name)
        self.parents.append(parent)
        self.offsets.append(np.zeros(3))
        self.channels.append([])

    def _kinds(self, joint: int, words: list[str]) -> list[str]:
        kinds = [word.capitalize() for word in words[1:]]
        known = {f"{axis}{what}" for axis in _AXES for what in ("position", "rotation")}
        if not words or words[0] != str(len(kinds)):
            raise self.refused(
                f"says that '{self.names[joint]}' has {' '.join(words[:1])} channels and names {len(kinds)}"
            )
        if not set(kinds) <= known or len(set(kinds)) < len(kinds):
            raise self.refused(f"has unknown or repeated channels: {' '.join(words[1:])[:80]}")
        return kinds

    def _motion(self) -> tuple[Array, float]:
        width = sum(map(len, self.channels))
        rows = self.rows or []
        count, time = (_COUNT.fullmatch(rows[0]), _TIME.fullmatch(rows[1])) if len(rows) > 1 else (None, None)
        if count is None or time is None:
            raise self.refused("is cut off, or lacks 'Frames:' and 'Frame Time:' after MOTION")
        frames = self._numbers([count[1]], 1, "Frames:")[0]
        seconds = self._numbers([time[1]], 1, "Frame Time:")[0]
        rows = rows[2:]
        if frames < 1 or frames != int(frames) or not 1 / RATES[1] <= seconds <= 1 / RATES[0]:
            raise self.refused(f"has {frames:g} frames of {seconds:g} seconds")
        numbers = [self._numbers(row.split(), None, "the motion") for row in rows]
        values = np.concatenate(numbers) if numbers else np.zeros(0)
        if width == 0 or len(values) != frames * width:
            held = f"{len(values)} values in the {len(rows)} lines of its motion"
            wanted = f"{int(frames)} frames of {width} channels"
            raise self.refused(f"has {held}, not {wanted}: cut off, or of a wrong channel count")
        return values.reshape(int(frames), width), 1 / seconds

    def _next(self, where: str) -> list[str]:
        if self.at >= len(self.lines):
            raise self.refused(f"is cut off after {where}")
        self.at += 1
        return self.lines[self.at - 1]

    def _brace(self) -> None:
        if self._next("a joint's name") != ["{"]:
            raise self.refused("lacks the opening brace of a joint")

    def _numbers(self, words: list[str], count: int | None, where: str) -> Array:
        try:
            values = np.array(words, np.float64)
        except ValueError:
            bad = next(word for word in words if not _is_number(word))
            raise self.refused(f"has '{bad[:40]}' in {where}, which is no number") from None
        if count is not None and len(values) != count:
            raise self.refused(f"has {len(values)} numbers after {where}, expected {count}")
        if not np.isfinite(values).all():
            raise self.refused(f"has values in {where} that are not finite numbers")
        return values

    def refused(self, problem: str) -> InputError:
        return refusal(self.path, problem)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
