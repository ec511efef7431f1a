"""The phases that render, in their order, and what sets them apart."""

from models.avatar.phases import Plan
from models.avatar.settings import OptimiserSettings
from models.avatar.split import Split
from models.avatar.task import Task

SILHOUETTES, JOINT, APPEARANCE, HELD_OUT = "silhouettes", "joint", "appearance", "held-out poses"
PHASES = (SILHOUETTES, JOINT, APPEARANCE, HELD_OUT)

FIT_STEPS = 25  # for each held-out frame
# Such a frame moves alone, without the kernel, and would leave its neighbours' path.
FIT_SMOOTHNESS, FIT_PACE = 15.0, 0.5  # factors on those of the other phases

_SEEDS = {SILHOUETTES: 11, JOINT: 5, APPEARANCE: 10, HELD_OUT: 14}
"""Added to the settings' seed, so that no two phases draw alike."""


def steps(name: str, settings: OptimiserSettings, split: Split) -> int:
    """How many steps a phase has at most."""
    return {
        SILHOUETTES: settings.silhouette_steps,
        JOINT: settings.joint_steps,
        APPEARANCE: settings.appearance_steps,
        HELD_OUT: -(-FIT_STEPS * len(split.held_out) // settings.frames_per_step),
    }[name]


def plan(name: str, task: Task, split: Split) -> Plan:
    """A phase for these frames; see `Plan`."""
    settings = task.settings
    joint, fitting = name == JOINT, name == HELD_OUT
    frames = split.held_out if fitting else split.training
    pixels = settings.final_person_pixels if name == APPEARANCE else settings.person_pixels
    fine = task.crops(pixels, frames)
    return Plan(
        name=name,
        steps=steps(name, settings, split),
        frames=frames,
        coarse=task.crops(settings.person_pixels // 2, frames) if joint else fine,
        fine=fine,
        coarse_until=round(settings.coarse_share * settings.joint_steps) if joint else 0,
        moves_motion=name != APPEARANCE,
        moves_shape=name in (SILHOUETTES, JOINT),
        moves_avatar=name in (JOINT, APPEARANCE),
        uses_color=name != SILHOUETTES,
        smoothness=settings.weights.rendered_smoothness * (FIT_SMOOTHNESS if fitting else 1.0),
        pace=FIT_PACE if fitting else 1.0,
        warm_up=settings.warm_up_steps if joint else 0,
        seed=settings.seed + _SEEDS[name],
    )
