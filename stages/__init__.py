"""The table of the stages, in the order in which they run."""

from stages import depth, detect, export, frames, masks, optimize, poses
from stages.base import Stage

STAGES: tuple[Stage, ...] = (
    frames.STAGE,
    detect.STAGE,
    poses.STAGE,
    masks.STAGE,
    depth.STAGE,
    optimize.STAGE,
    export.STAGE,
)
