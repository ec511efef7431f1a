"""What changes from phase to phase, so all that a checkpoint needs."""

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from models.avatar import initial
from models.avatar.gaussians import Gaussians
from models.avatar.phases import Scene
from models.avatar.task import Task
from models.avatar.trajectory import Trajectory

CHECKPOINT_VERSION = 13  # raised when a checkpoint's content changes its meaning


@dataclass
class State:
    """An unfinished optimisation between two phases.

    Attributes:
        trajectory, gaussians: as far as they are.
        phase: how many of the rendering phases are done.
        log_heights_away: `alignment.log_heights_away` as the alignment left it.
        aligned_log_distance: the mean logarithm of the pelvis' z, where the alignment left it.
        slope: of relative depth maps, at that distance; None where there are none in use.
        ground: (4,) the plane that the person stands on; None without one.
        metric: whether metric depth maps are in use.
        dropped: frames whose mask is of somebody else.
        losses: rows of the history.
        warnings: sentences.
        put_right: frames whose initial pose had sides exchanged, and how.
        interpolated: poses and trans before the held-out frames were fitted to their own pictures.
    """

    trajectory: Trajectory
    gaussians: Gaussians
    phase: int = 0
    log_heights_away: float | None = None
    aligned_log_distance: float = 0.0
    slope: float | None = None
    ground: Tensor | None = None
    metric: bool = False
    dropped: list[int] = field(default_factory=list)
    losses: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    put_right: dict[int, str] = field(default_factory=dict)
    interpolated: tuple[Tensor, Tensor] | None = None

    @classmethod
    def fresh(cls, task: Task) -> "State":
        """The initial motion and untouched Gaussians."""
        start = task.sized(*initial.filled_in(task.evidence))
        return cls(task.trajectory(*start), task.gaussians(task.settings.gaussians))

    @property
    def uses_depth(self) -> bool:
        """Whether depth maps take part."""
        return self.metric or self.slope is not None

    def scene(self, task: Task) -> Scene:
        """What the next phase works on."""
        return Scene(
            trajectory=self.trajectory,
            gaussians=self.gaussians,
            fps=task.evidence.fps,
            settings=task.settings,
            log_heights_away=None if self.metric else self.log_heights_away,
            aligned_log_distance=self.aligned_log_distance,
            slope=self.slope,
            landmarks=task.trusted_landmarks(),
            ground=self.ground,
            use_depth=self.uses_depth,
        )

    def saved(self, task: Task, phase: dict[str, Any] | None) -> dict[str, Any]:
        """The content of a checkpoint, with that of the phase that is under way, if any."""
        return {
            "version": CHECKPOINT_VERSION,
            "task": task.digest,
            "state": {k: v for k, v in vars(self).items() if k not in ("trajectory", "gaussians")},
            "gaussian_count": len(self.gaussians),
            "trajectory": self.trajectory.state_dict(),
            "gaussians": self.gaussians.state_dict(),
            "phase_state": phase,
        }

    @classmethod
    def restored(cls, task: Task, saved: dict[str, Any] | None) -> "State | None":
        """The state of a checkpoint; None where there is none, or it is of another optimisation."""
        if saved is None or (saved.get("version"), saved.get("task")) != (CHECKPOINT_VERSION, task.digest):
            return None
        gaussians = task.gaussians(saved["gaussian_count"])
        state = replace(cls.fresh(task), gaussians=gaussians, **saved["state"])
        state.trajectory.load_state_dict(saved["trajectory"])
        state.gaussians.load_state_dict(saved["gaussians"])
        return state
