"""How fast things move, and in which order: learning rates, Adam by rows, what is left to chance."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

FINAL_SHARE = 0.1


def cosine(steps: int) -> Callable[[int], float]:
    """The factor on a learning rate after some of `steps` steps: from 1 to a tenth along a cosine."""

    def factor(step: int) -> float:
        share = min(step / max(steps, 1), 1.0)
        return FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * share)) / 2

    return factor


class RowAdam:
    """Adam (Kingma and Ba 2015) on some rows of a matrix at a time.

    Rows without evidence in a step keep their moments, and every row has its own count of steps: frames
    take turns, and must not coast on the momentum of a step long ago.
    """

    BETAS = (0.8, 0.95)  # short memories: a row is touched once in a few dozen steps
    EPSILON = 1e-8

    def __init__(self, parameter: Tensor, rates: Tensor, memory: Tensor) -> None:
        """
        Args:
            parameter: (R,P), changed in place.
            rates: (R,P) learning rates.
            memory: (R,1) factors on the number of steps that a row's means look back upon.
        """
        self.parameter = parameter
        self.rates = rates
        self.slow, self.fast = (1 - (1 - beta) / memory for beta in self.BETAS)
        self.first = torch.zeros_like(parameter, requires_grad=False)
        self.second = torch.zeros_like(parameter, requires_grad=False)
        self.steps = parameter.new_zeros(len(parameter), 1, requires_grad=False)

    @torch.no_grad()
    def step(self, gradient: Tensor, rows: Tensor, factor: float) -> None:
        """Moves the rows where `rows` (R,) is true against their part of the gradient (R,P), at `factor`
        times the rates. All are computed and the others kept: picking would wait for the device."""
        slow, fast = self.slow, self.fast
        chosen = rows[:, None]
        steps = self.steps + 1
        first = torch.lerp(gradient, self.first, slow)
        second = torch.lerp(gradient * gradient, self.second, fast)
        size = (second / (1 - fast**steps)).sqrt_().add_(self.EPSILON)
        moved = self.parameter - factor * self.rates * (first / (1 - slow**steps)) / size
        state = (self.steps, self.first, self.second, self.parameter)
        for old, new in zip(state, (steps, first, second, moved), strict=True):
            old.copy_(torch.where(chosen, new, old))

    def state_dict(self) -> dict[str, Tensor]:
        return {"first": self.first, "second": self.second, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, value in state.items():
            getattr(self, name).copy_(value)


class Draws:
    """What is left to chance in a phase, drawn from the seed before its first step: so no step waits for the
    device, and a phase that is taken up again needs nothing but the number of its step.

    Attributes:
        frames: of every step, in random order, each once before any comes again.
        backgrounds: (steps,B,3) random colours; None where not asked for.
    """

    def __init__(
        self, frames: list[int], steps: int, frames_per_step: int, seed: int, with_backgrounds: bool
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        waiting: list[int] = []
        self.frames: list[list[int]] = []
        colors = []
        for _ in range(steps):
            chosen: list[int] = []
            while len(chosen) < frames_per_step:
                if not waiting:
                    waiting = [frames[i] for i in torch.randperm(len(frames), generator=generator).tolist()]
                chosen.append(waiting.pop())
            self.frames.append(chosen)
            if with_backgrounds:
                colors.append(torch.rand(frames_per_step, 3, generator=generator))
        self.backgrounds = torch.stack(colors) if colors else None
