"""The avatar and the joint optimisation of avatar and motion.

The names are loaded when they are first used: the settings are wanted where torch is not.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.avatar.avatar import Avatar
    from models.avatar.observations import Evidence
    from models.avatar.optimiser import Result, optimise
    from models.avatar.posing import PosedGaussians
    from models.avatar.settings import OptimiserSettings

__all__ = ["Avatar", "Evidence", "OptimiserSettings", "PosedGaussians", "Result", "optimise"]

_MODULES = {
    "Avatar": "avatar",
    "Evidence": "observations",
    "OptimiserSettings": "settings",
    "PosedGaussians": "posing",
    "Result": "optimiser",
    "optimise": "optimiser",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
