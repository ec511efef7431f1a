"""Results of WHAM: `wham_output.pkl`, written with --save_pkl. One dictionary a person, by their number."""

from pathlib import Path
from typing import Any

import numpy as np

from models.hmr.foreign.people import Fields, Person, first_has, placed_by_smpl

PROGRAM = "WHAM"
NEEDED = {"pose", "trans", "betas", "frame_ids"}


def recognises(content: Any) -> bool:
    """Whether it is WHAM's."""
    return first_has(content, NEEDED)


def people(path: Path, content: Any, size: tuple[int, int]) -> list[Person]:
    """Everybody in it, as seen by the camera; WHAM takes the picture's diagonal for the focal length."""
    width, height = size
    focal = float(np.hypot(width, height))
    found = []
    for number, (key, values) in enumerate(content.items()):
        name = str(key) if isinstance(key, int | str) else str(number)
        fields = Fields(path, PROGRAM, f"person {name}", values)
        poses = fields.angles("pose", 24)
        found.append(
            Person(
                program=PROGRAM,
                name=name,
                frames=fields.indices("frame_ids", len(poses)),
                poses=poses,
                pelvis=placed_by_smpl(fields.numbers("trans", len(poses), 3)),
                betas=fields.numbers("betas", len(poses), 10),
                K=np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]]),
                width=width,
                height=height,
                length=None,
            )
        )
    return found
