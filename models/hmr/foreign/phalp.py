"""Results of PHALP, and of 4D-Humans, which tracks with it: `results/demo_NAME.pkl`.

One dictionary a picture, by its path, with a list entry for everybody who is tracked in it.
"""

from pathlib import Path
from typing import Any

import numpy as np

from models.hmr.foreign.people import Array, Fields, Person, first_has, placed_by_smpl

PROGRAM = "PHALP"
NEEDED = {"time", "tid", "smpl", "camera", "size"}
FOCAL, SIDE = 5000.0, 256.0
"""Of the camera that PHALP assumes: pixels, for pictures padded to a square and scaled to this side."""

Row = tuple[int, Array, Array, Array, float, float]  # picture, pose, camera, betas, width, height


def recognises(content: Any) -> bool:
    """Whether it is PHALP's."""
    return first_has(content, NEEDED)


def people(path: Path, content: Any, size: tuple[int, int]) -> list[Person]:
    """Everybody whom it follows. What it only predicts, while somebody is out of sight, is left out."""
    tracks: dict[int, list[Row]] = {}
    length = 0
    for frame in content.values():
        fields = Fields(path, PROGRAM, "", frame)
        time = int(fields.numbers("time"))
        if time < 0:
            raise fields.refusal(f"has a picture of number {time}")
        length = max(length, time + 1)
        for number, row in _rows(Fields(path, PROGRAM, f"picture {time}", frame), time):
            tracks.setdefault(number, []).append(row)
    return [_person(number, rows, length) for number, rows in tracks.items()]


def _rows(fields: Fields, time: int) -> list[tuple[int, Row]]:
    lists = {name: fields.members(name) for name in ("tid", "smpl", "camera", "size")}
    unseen = fields.members("tracked_time") if "tracked_time" in fields.values else [0] * len(lists["tid"])
    if len({len(unseen), *map(len, lists.values())}) > 1:
        raise fields.refusal("has lists of different lengths")
    rows = []
    for index in range(len(unseen)):
        here = Fields(
            fields.path, PROGRAM, fields.where, {name: values[index] for name, values in lists.items()}
        )
        if unseen[index]:
            continue
        body = here.inner("smpl")
        pose = np.concatenate([body.rotations("global_orient", 1), body.rotations("body_pose", 23)])
        height, width = here.numbers("size", 2)
        row = (time, pose.ravel(), here.numbers("camera", 3), body.numbers("betas", 10), width, height)
        rows.append((int(here.numbers("tid")), row))
    return rows


def _person(number: int, rows: list[Row], length: int) -> Person:
    by_time = {row[0]: row for row in rows}
    times, poses, cameras, betas, widths, heights = zip(
        *(by_time[time] for time in sorted(by_time)), strict=True
    )
    width, height = widths[0], heights[0]
    focal = FOCAL / SIDE * max(width, height)
    return Person(
        program=PROGRAM,
        name=str(number),
        frames=np.array(times, np.int64),
        poses=np.array(poses),
        pelvis=placed_by_smpl(np.array(cameras)),
        betas=np.array(betas),
        K=np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]),
        width=width,
        height=height,
        length=length,
        camera_known=False,
    )
