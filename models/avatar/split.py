"""Which frames the avatar learns from, which decide when it has learned enough, and which judge it."""

from collections.abc import Sequence
from dataclasses import dataclass

MIN_FRAMES_TO_HOLD_OUT = 10


@dataclass(frozen=True)
class Split:
    """Frames with a usable mask of the right person, parted; every list rises.

    Attributes:
        believed: all of them.
        held_out: evenly spaced ones that the avatar never sees.
        validation: of these, every second one decides when to stop; none without early stopping.
    """

    believed: list[int]
    held_out: list[int]
    validation: list[int]

    @classmethod
    def of(cls, believed: Sequence[int], share: float, stops_early: bool) -> "Split":
        """Parts the frames, `share` of them held out; clips that are too short keep all for learning."""
        frames = list(believed)
        count = int(share * len(frames)) if len(frames) >= MIN_FRAMES_TO_HOLD_OUT else 0
        held_out = [frames[int((i + 0.5) * len(frames) / count)] for i in range(count)]
        return cls(frames, held_out, held_out[1::2] if stops_early else [])

    @property
    def training(self) -> list[int]:
        """The frames that the avatar learns from."""
        return [t for t in self.believed if t not in self.held_out]

    @property
    def tested(self) -> list[int]:
        """The held-out frames that decide nothing, for the figures."""
        return [t for t in self.held_out if t not in self.validation]
