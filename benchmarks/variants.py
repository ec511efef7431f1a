"""What is compared in loop.md: the joint optimisation, the same without each of its parts, baselines, bounds.

A variant is nothing but settings of the `optimize` section, and whose poses it starts from.
"""

from dataclasses import dataclass, field
from typing import Any

from models.avatar.settings import OptimiserSettings, Weights

INPUTS = ("no depth", "depth", "depth + height")
MAIN = ("joint", "decoupled, fixed", "decoupled, free offsets", "true poses")

_STILL = 1e-12  # a learning rate at which nothing moves
FIXED: dict[str, Any] = {
    "bridge_held_out": False,
    "put_right": False,
    "alignment_steps": 0,
    "silhouette_steps": 0,
    "rates": {"rotation": _STILL, "direction": _STILL, "distance": _STILL, "shape": _STILL},
}
"""The avatar is learned as ever, in the same number of steps, and the motion never moves."""

FREE_OFFSETS: dict[str, Any] = {
    "put_right": False,
    "alignment_steps": 0,
    "silhouette_steps": 0,
    "kernel_seconds": 0.0,
    "wide_pace": 0.0,
    "clip_pace": 0.0,
    "weights": {
        "smoothness": 0.0,
        "rotation_prior": 0.0,
        "ground": 0.0,
        "shape_prior": 0.0,
        "distance_anchor": 0.0,
        "margin": 0.0,
        "offset": 0.0,
    },
}
"""Every frame's pose moves on its own by what its picture says (GART, HUGS): no kernel, no phases before, no
smoothness or priors, Gaussians not tied to the mesh."""


@dataclass(frozen=True)
class Variant:
    """One line of the table.

    Attributes:
        settings: changes to the default settings; `weights` and `rates` key by key.
        true_poses: starts from the truth's motion instead of an estimate.
        inputs: those with which it means something.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    true_poses: bool = False
    inputs: tuple[str, ...] = INPUTS


def ablations() -> dict[str, Variant]:
    """The joint optimisation without one thing: every weight that is on, what spreads moves
    over time, the warm-up, two phases.

    All maps here are relative: without `depth_relative` is without `depth`.
    """
    needs = {"height": INPUTS[2:], "depth": INPUTS[1:]}
    found = {
        f"no {name}": Variant({"weights": {name: 0.0}}, inputs=needs.get(name.partition("_")[0], INPUTS))
        for name, value in Weights()
        if value > 0 and name != "depth_relative"
    }
    return found | {
        "no kernel": Variant({"kernel_seconds": 0.0}),
        "no wide kernel": Variant({"wide_pace": 0.0}),
        "no turns of the whole clip": Variant({"clip_pace": 0.0}),
        "no bridging of held-out frames": Variant({"bridge_held_out": False}),
        "no exchange of sides": Variant({"put_right": False}),
        "no warm-up": Variant({"warm_up_steps": 0}),
        "no early stopping": Variant({"patience": 0}),
        "no alignment phase": Variant({"alignment_steps": 0}),
        "no silhouettes phase": Variant({"silhouette_steps": 0}),
    }


VARIANTS: dict[str, Variant] = {
    "joint": Variant(),
    "decoupled, fixed": Variant(FIXED),
    "decoupled, free offsets": Variant(FREE_OFFSETS),
    "true poses": Variant(FIXED, true_poses=True),
    **ablations(),
}


def settings(variant: Variant, seed: int, steps: float, **changes: Any) -> OptimiserSettings:
    """The default settings with a variant's changes and others; `steps` is a factor on every phase."""
    values = OptimiserSettings().model_dump()
    for name, value in (*variant.settings.items(), *changes.items()):
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    for name in (key for key in values if key.endswith("_steps")):
        values[name] = round(steps * values[name])
    return OptimiserSettings(**{**values, "seed": seed})
