"""How fast things move, and in which order: learning rates, Adam by rows, the order of frames."""

import math
from collections.abc import Callable
from typing import Any

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

    def __init__(self, parameter: Tensor, rates: Tensor) -> None:
        """
        Args:
            parameter: (T,P), changed in place.
            rates: (P,) learning rates of the columns.
        """
        self.parameter = parameter
        self.rates = rates
        self.first = torch.zeros_like(parameter, requires_grad=False)
        self.second = torch.zeros_like(parameter, requires_grad=False)
        self.steps = parameter.new_zeros(len(parameter), 1, requires_grad=False)

    @torch.no_grad()
    def step(self, gradient: Tensor, rows: Tensor, factor: float) -> None:
        """Moves `rows` against their part of the gradient (T,P), at `factor` times the rates."""
        slow, fast = self.BETAS
        g = gradient[rows]
        steps = self.steps[rows] + 1
        first = torch.lerp(g, self.first[rows], slow)
        second = torch.lerp(g * g, self.second[rows], fast)
        self.steps[rows], self.first[rows], self.second[rows] = steps, first, second
        size = (second / (1 - fast**steps)).sqrt_().add_(self.EPSILON)
        self.parameter[rows] -= factor * self.rates * (first / (1 - slow**steps)) / size

    def state_dict(self) -> dict[str, Tensor]:
        return {"first": self.first, "second": self.second, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, value in state.items():
            getattr(self, name).copy_(value)


class Order:
    """The frames in random order, each once before any comes again; reproducible and resumable."""

    def __init__(self, frames: list[int], seed: int) -> None:
        self.frames = frames
        self.generator = torch.Generator().manual_seed(seed)
        self.waiting: list[int] = []

    def next(self) -> int:
        if not self.waiting:
            shuffled = torch.randperm(len(self.frames), generator=self.generator)
            self.waiting = [self.frames[i] for i in shuffled.tolist()]
        return self.waiting.pop()

    def color(self) -> Tensor:
        """A random colour (3,)."""
        return torch.rand(3, generator=self.generator)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state(), "waiting": list(self.waiting)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"])
        self.waiting = list(state["waiting"])
