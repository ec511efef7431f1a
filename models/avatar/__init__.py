"""The avatar and the joint optimisation of avatar and motion.

The names are loaded when they are first used: the settings are wanted where torch is not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.avatar.avatar import Avatar
    from models.avatar.delivery import Result
    from models.avatar.observations import Evidence
    from models.avatar.optimiser import optimise
    from models.avatar.posing import PosedGaussians
    from models.avatar.settings import OptimiserSettings
    from models.avatar.showing import a_pose, framing, turntable
    from models.cameras import Camera

__all__ = [
    "Avatar",
    "Camera",
    "Evidence",
    "OptimiserSettings",
    "PosedGaussians",
    "Result",
    "a_pose",
    "framing",
    "optimise",
    "turntable",
]

_MODULES = {
    "Avatar": "models.avatar.avatar",
    "Camera": "models.cameras",
    "Evidence": "models.avatar.observations",
    "OptimiserSettings": "models.avatar.settings",
    "PosedGaussians": "models.avatar.posing",
    "Result": "models.avatar.delivery",
    "a_pose": "models.avatar.showing",
    "framing": "models.avatar.showing",
    "optimise": "models.avatar.optimiser",
    "turntable": "models.avatar.showing",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
