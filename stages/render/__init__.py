"""Pictures of an avatar in any motion, from any cameras; no stage of the chain, since it needs no run.

`plan` says what is to be drawn, `write_pictures` draws it.
"""

from stages.render.drawing import FOLDER, VIDEOS, straight, write_pictures
from stages.render.motions import read_motion
from stages.render.planning import LARGEST, Around, Take, plan

__all__ = [
    "FOLDER",
    "LARGEST",
    "VIDEOS",
    "Around",
    "Take",
    "plan",
    "read_motion",
    "straight",
    "write_pictures",
]
