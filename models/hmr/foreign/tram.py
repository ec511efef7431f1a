"""Results of TRAM: a folder with `camera.npy` and a `hps_track_N.npy` for each person."""

from pathlib import Path
from typing import Any

import numpy as np

from models.errors import InputError
from models.hmr.foreign.opening import contents
from models.hmr.foreign.people import Fields, Person, placed_by_smpl

PROGRAM = "TRAM"
NEEDED = {"pred_rotmat", "pred_shape", "pred_trans", "frame"}
CAMERA, TRACKS = "camera.npy", "hps_track_*.npy"


def recognises(content: Any) -> bool:
    """Whether it is one of TRAM's tracks."""
    return isinstance(content, dict) and content.keys() >= NEEDED


def people_in(folder: Path) -> list[Person]:
    """Everybody in the folder.

    Raises:
        InputError: the camera or the tracks are not there, or a value of them is wrong.
    """
    tracks = sorted(folder.glob(TRACKS))
    if not tracks or not (folder / CAMERA).is_file():
        raise InputError(
            f"{folder} does not hold poses of TRAM's: {CAMERA} and {TRACKS} are needed.",
            "Copy camera.npy, which TRAM writes beside its folder hps, into that folder, and give it.",
        )
    camera = Fields(folder / CAMERA, PROGRAM, "", contents(folder / CAMERA))
    focal, centre = float(camera.numbers("img_focal")), camera.numbers("img_center", 2)
    if focal <= 0 or (centre <= 0).any():
        raise camera.refusal("has an `img_focal` or `img_center` that is no camera's")
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    return [_person(track, K) for track in tracks]


def _person(path: Path, K: np.ndarray) -> Person:
    name = path.stem.removeprefix("hps_track_")
    fields = Fields(path, PROGRAM, "", contents(path))
    turns = fields.rotations("pred_rotmat", None, 24)
    count = len(turns)
    return Person(
        program=PROGRAM,
        name=name,
        frames=fields.indices("frame", count),
        poses=turns.reshape(count, 72),
        pelvis=placed_by_smpl(fields.numbers("pred_trans", count, 3)),
        betas=fields.numbers("pred_shape", count, 10),
        K=K,
        width=2 * K[0, 2],
        height=2 * K[1, 2],
        length=None,
    )
