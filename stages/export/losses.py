"""The optimisation's losses over all its steps, for charts."""

from collections.abc import Mapping, Sequence
from typing import Any

Curves = dict[str, tuple[list[float], list[float]]]


def loss_curves(losses: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[float, str]], Curves]:
    """Where each phase begins, and steps and values of every term; phases follow one another.

    Args:
        losses: of history.json.
    """
    starts: list[tuple[float, str]] = []
    curves: Curves = {}
    begin = last = 0.0
    for record in losses:
        if not starts or record["phase"] != starts[-1][1]:
            begin = last
            starts.append((begin, str(record["phase"])))
        last = begin + record["step"]
        for name, value in record.items():
            if name not in ("phase", "step"):
                x, y = curves.setdefault(name, ([], []))
                x.append(last)
                y.append(value)
    return starts, curves
