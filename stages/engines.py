"""Which engine a stage takes: the real network where it can run, else the embedded one."""

from dataclasses import dataclass
from importlib import util

from models import gpu, weights
from models.errors import InputError
from models.gpu import Lack

SYNC = "make sync"  # installs every package of the lock file


@dataclass(frozen=True)
class RealEngine:
    """What of a stage runs a network that this project does not bring with it: its engine, or a part of that.

    Attributes:
        name: in the stage's table of engines and in its settings.
        packages: the modules that it imports beyond those of every run.
        weights: their key in `models.weights.TABLE`; None where the settings name a file of the user's own.
        embedded: the name of what takes its place.
        setting: which of the stage's settings asks for it by name, or says "auto".
        on_gpu: whether it runs on the GPU where there is one.
    """

    name: str
    packages: tuple[str, ...]
    weights: str | None
    embedded: str
    setting: str = "engine"
    on_gpu: bool = True


def lack(engine: RealEngine) -> Lack | None:
    """The first thing that the engine lacks here, its `mend` a command; None where it can run."""
    missing = [package for package in engine.packages if util.find_spec(package) is None]
    if missing:
        return Lack(f"{', '.join(missing)} not installed", SYNC)
    if engine.weights is not None and weights.find(engine.weights) is None:
        return Lack(
            f"the weights of {weights.TABLE[engine.weights].model} are not here",
            weights.command(engine.weights),
        )
    return None


def choose_engine(asked: str, real: RealEngine | None, device: str = "auto") -> str:
    """The engine's name: "file" for what the user brings, else the one asked for.

    "auto" stands for the real one where it can run, else for the embedded one.

    Args:
        asked: "auto" or an engine's name.
        real: the stage's network, as the settings want it; None where there is a file of the user's own.
        device: what the network is to run on: "auto", "cpu" or "cuda".

    Raises:
        InputError: the real engine is asked for and cannot run, or is to run on CUDA and there is none.
    """
    if real is None:
        return "file"
    if asked not in ("auto", real.name):
        return asked
    lacking = lack(real)
    if lacking is not None and asked == "auto":
        return real.embedded
    if lacking is not None:
        raise InputError(
            f"The engine {real.name} cannot run: {lacking.problem}.",
            f"Mend it with: {lacking.mend}; or leave {real.setting} at auto, which then takes "
            f"{real.embedded}.",
        )
    if device == "cuda" and gpu.device() is None:
        raise InputError(
            f"The engine {real.name} cannot run on CUDA: there is no usable CUDA device.", gpu.NEXT_STEP
        )
    return real.name
