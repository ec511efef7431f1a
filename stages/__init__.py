"""The table of the stages, in the order in which they run."""

from stages import frames
from stages.base import Stage

STAGES: tuple[Stage, ...] = (frames.STAGE,)
