"""Line charts as small inline SVG; colours come from the style of the page around them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

Array = NDArray[np.float64]

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, _WIDTH - 18, 10, _HEIGHT - 34
_MARK_ROWS, _MARK_HEIGHT = 3, 14
_MAX_POINTS = 240


@dataclass(frozen=True)
class Line:
    """One curve: y over x. Values that the axis cannot show (not finite, no logarithm) are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """Curves over a common x axis.

    Attributes:
        marks: x positions with a name, drawn as vertical lines (where a phase begins).
        logarithmic: the y axis.
    """

    title: str
    x_name: str
    lines: Sequence[Line]
    marks: Sequence[tuple[float, str]] = ()
    logarithmic: bool = True

    @property
    def svg(self) -> Markup:
        """The chart as an SVG element; curve number i has the class `ci`."""
        curves = [_thinned(*_drawable(line, self.logarithmic)) for line in self.lines]
        if not any(len(x) for x, _ in curves):
            return Markup("<p>Nothing was recorded.</p>")
        axes = _Axes.around(curves, _TOP + (_MARK_ROWS * _MARK_HEIGHT if self.marks else 0))
        opening = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">')
        parts = [opening.format(_WIDTH, _HEIGHT, self.title), _text(_RIGHT, _HEIGHT - 2, self.x_name, "end")]
        for tick in (_decades if self.logarithmic else _ticks)(axes.y_low, axes.y_high):
            value = 10**tick if self.logarithmic else tick
            parts.append(_rule("grid", _LEFT, axes.down(tick), _RIGHT, axes.down(tick)))
            parts.append(_text(_LEFT - 6, axes.down(tick) + 4, f"{value:.4g}", "end"))
        ticks = _ticks(axes.x_low, axes.x_high)
        parts += [_text(axes.across(tick), _BOTTOM + 16, f"{tick:.4g}", "middle") for tick in ticks]
        for row, (position, name) in enumerate(self.marks):
            x = axes.across(position)
            parts.append(_rule("mark", x, _TOP, x, _BOTTOM))
            gap, anchor = (4, "start") if x < _LEFT + 0.8 * (_RIGHT - _LEFT) else (-4, "end")
            parts.append(_text(x + gap, _TOP + 10 + _MARK_HEIGHT * (row % _MARK_ROWS), name, anchor))
        for index, (xs, ys) in enumerate(curves):
            points = " ".join(f"{axes.across(a):.1f},{axes.down(b):.1f}" for a, b in zip(xs, ys, strict=True))
            parts.append(Markup('<polyline class="c{}" points="{}"/>').format(index, points))
        return Markup("").join([*parts, Markup("</svg>")])


@dataclass(frozen=True)
class _Axes:
    """From values to the drawing's units."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    top: float

    @classmethod
    def around(cls, curves: Sequence[tuple[Array, Array]], top: float) -> "_Axes":
        xs, ys = (np.concatenate(values) for values in zip(*curves, strict=True))
        return cls(float(xs.min()), float(xs.max()), float(ys.min()), float(ys.max()), top)

    def across(self, x: float) -> float:
        return _LEFT + (x - self.x_low) / ((self.x_high - self.x_low) or 1) * (_RIGHT - _LEFT)

    def down(self, y: float) -> float:
        return _BOTTOM - (y - self.y_low) / ((self.y_high - self.y_low) or 1) * (_BOTTOM - self.top)


def _drawable(line: Line, logarithmic: bool) -> tuple[Array, Array]:
    x, y = np.asarray(line.x, float), np.asarray(line.y, float)
    keep = np.isfinite(x) & np.isfinite(y) & ((y > 0) | (not logarithmic))
    return x[keep], np.log10(y[keep]) if logarithmic else y[keep]


def _thinned(x: Array, y: Array) -> tuple[Array, Array]:
    """Long curves as the medians of equal pieces: legible where single steps are noisy."""
    if len(x) <= _MAX_POINTS:
        return x, y
    pieces = np.array_split(np.arange(len(x)), _MAX_POINTS)
    return np.array([np.median(x[p]) for p in pieces]), np.array([np.median(y[p]) for p in pieces])


def _ticks(low: float, high: float) -> Array:
    """About five round values between low and high; at least one."""
    if high <= low:
        return np.array([low])
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = min((s * power for s in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step


def _decades(low: float, high: float) -> Array:
    """Ticks between two decimal logarithms: whole decades, or 1, 2 and 5 of each where those are too few."""
    decades = np.arange(np.ceil(low), np.floor(high) + 1)
    if len(decades) > 2:
        return decades
    exponents = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    finer = np.log10([m * 10.0**e for e in exponents for m in (1, 2, 5)])
    inside = finer[(finer >= low) & (finer <= high)]
    return inside if len(inside) else np.array([low])


def _rule(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    line = '<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'
    return Markup(line).format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)
