"""Results of GVHMR: `hmr4d_results.pt`. One person, of SMPL-X's body, whose 21 body joints are SMPL's."""

from pathlib import Path
from typing import Any

import numpy as np

from models.hmr.foreign.people import SMPLX_PELVIS, Fields, Person

PROGRAM = "GVHMR"
BODY_JOINTS = 21  # SMPL's other two, the hands, are more joints in SMPL-X


def recognises(content: Any) -> bool:
    """Whether it is GVHMR's."""
    return isinstance(content, dict) and content.keys() >= {"smpl_params_incam", "K_fullimg"}


def people(path: Path, content: Any, size: tuple[int, int]) -> list[Person]:
    """The one person in it, as seen by the camera; the shape is SMPL-X's and left out."""
    fields = Fields(path, PROGRAM, "", content)
    body = fields.inner("smpl_params_incam", "smpl_params_incam")
    orient = body.angles("global_orient", 1)
    count = len(orient)
    pose = body.angles("body_pose", BODY_JOINTS)
    if len(pose) != count:
        raise body.refusal(f"has {len(pose)} poses and {count} orientations")
    K = fields.numbers("K_fullimg", None, 3, 3)[0]
    if not (K[0, 0] > 0 and K[1, 1] > 0 and K[0, 2] > 0 and K[1, 2] > 0):
        raise fields.refusal("has a `K_fullimg` that is no camera")
    return [
        Person(
            program=PROGRAM,
            name="1",
            frames=np.arange(count, dtype=np.int64),
            poses=np.concatenate([orient, pose, np.zeros((count, 6))], -1),
            pelvis=body.numbers("transl", count, 3) + SMPLX_PELVIS,
            betas=None,
            K=K,
            width=2 * K[0, 2],
            height=2 * K[1, 2],
            length=count,
        )
    ]
