"""Charts as small inline SVG; colours come from the style of the page around them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_WIDTH, _HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, _WIDTH - 16, 10, _HEIGHT - 34
_MARK_ROWS, _MARK_HEIGHT = 3, 14
_MAX_POINTS = 240
_SMALLEST_PLAN = 0.5  # metres across, so that noise on the spot does not look like a journey
_FLATTEST_PLAN, _TALLEST_PLAN = 0.4, 0.9  # of its width
_MARKER = 5.0


@dataclass(frozen=True)
class Line:
    """One curve: y over x. Values that the axis cannot show (not finite, no logarithm) are left out.

    Attributes:
        style: class of the curve, "before" or "after"; without one it gets the next colour.
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    style: str = ""


@dataclass(frozen=True)
class Chart:
    """Curves over a common x axis.

    Attributes:
        summary: what a listener should know of it.
        marks: x positions with a name, drawn as vertical lines (where a phase begins).
        spans: x ranges that are shaded, and what they mean.
        logarithmic: the y axis.
        holds: values that the y axis shows, whatever the curves are.
    """

    title: str
    x_name: str
    lines: Sequence[Line]
    marks: Sequence[tuple[float, str]] = ()
    spans: Sequence[tuple[float, float]] = ()
    span_name: str = ""
    logarithmic: bool = True
    holds: Sequence[float] = ()
    summary: str = ""

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Class and name of everything drawn."""
        return _styles(self.lines) + ([("span", self.span_name)] if self.spans else [])

    @property
    def svg(self) -> Markup:
        """The chart as an SVG element; curve number i has its style or the class `ci`."""
        curves = [_thinned(*_drawable(line, self.logarithmic)) for line in self.lines]
        if not any(len(x) for x, _ in curves):
            return Markup("<p>Nothing was recorded.</p>")
        top = _TOP + (_MARK_ROWS * _MARK_HEIGHT if self.marks else 0)
        axes = _Axes.around(curves, [x for x, _ in self.marks], self.holds, top, _BOTTOM)
        parts = [_opening(self.title, self.summary, _HEIGHT)]
        for begin, end in self.spans:
            left, right = (axes.across(min(max(x, axes.x_low), axes.x_high)) for x in (begin, end))
            box = '<rect class="span" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>'
            parts.append(Markup(box).format(left, top, max(right - left, 1), _BOTTOM - top))
        for tick in (_decades if self.logarithmic else _ticks)(axes.y_low, axes.y_high):
            value = 10**tick if self.logarithmic else tick
            parts += _level(axes, tick, f"{value:.4g}")
        ticks = _ticks(axes.x_low, axes.x_high)
        parts += [_text(axes.across(tick), _BOTTOM + 16, f"{tick:.4g}", "middle") for tick in ticks]
        parts.append(_text(_RIGHT, _HEIGHT - 2, self.x_name, "end"))
        for row, (position, name) in enumerate(self.marks):
            x = axes.across(position)
            parts.append(_rule("mark", x, _TOP, x, _BOTTOM))
            gap, anchor = (4, "start") if x < _LEFT + 0.75 * (_RIGHT - _LEFT) else (-4, "end")
            parts.append(_text(x + gap, _TOP + 10 + _MARK_HEIGHT * (row % _MARK_ROWS), name, anchor))
        for (style, _), (xs, ys) in zip(_styles(self.lines), curves, strict=True):
            parts.append(_curve(style, axes, xs, ys))
        return Markup("").join([*parts, Markup("</svg>")])


@dataclass(frozen=True)
class Plan:
    """Ways over the floor, seen from above, equally scaled both ways; the first point is the start."""

    title: str
    x_name: str
    y_name: str
    lines: Sequence[Line]
    summary: str = ""

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Class and name of everything drawn."""
        return [*_styles(self.lines), ("start", "start"), ("end", "end")]

    @property
    def svg(self) -> Markup:
        """The plan as an SVG element, y upwards; a disc marks a start, a square an end."""
        curves = [_drawable(line, logarithmic=False) for line in self.lines]
        if not any(len(x) for x, _ in curves):
            return Markup("<p>Nothing was recorded.</p>")
        axes, height = _Axes.equal(curves)
        parts = [_opening(self.title, self.summary, height)]
        for tick in _ticks(axes.y_low, axes.y_high):
            parts += _level(axes, tick, f"{tick:.4g}")
        for tick in _ticks(axes.x_low, axes.x_high):
            x = axes.across(tick)
            parts.append(_rule("grid", x, axes.top, x, axes.bottom))
            parts.append(_text(x, axes.bottom + 16, f"{tick:.4g}", "middle"))
        parts.append(_text(_RIGHT, height - 2, self.x_name, "end"))
        parts.append(_text(_LEFT - 40, 12, self.y_name, "start"))
        for (style, _), (xs, ys) in zip(_styles(self.lines), curves, strict=True):
            if len(xs):
                parts.append(_curve(style, axes, xs, ys))
                parts.append(_disc(style, axes.across(xs[0]), axes.down(ys[0])))
                parts.append(_square(style, axes.across(xs[-1]), axes.down(ys[-1])))
        return Markup("").join([*parts, Markup("</svg>")])


@dataclass(frozen=True)
class _Axes:
    """From values to the drawing's units."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    top: float
    bottom: float

    @classmethod
    def around(
        cls,
        curves: Sequence[tuple[Array, Array]],
        xs: Sequence[float],
        ys: Sequence[float],
        top: float,
        bottom: float,
    ) -> "_Axes":
        """Axes that show the curves and these places."""
        x_low, x_high, y_low, y_high = _bounds(curves)
        return cls(min([x_low, *xs]), max([x_high, *xs]), min([y_low, *ys]), max([y_high, *ys]), top, bottom)

    @classmethod
    def equal(cls, curves: Sequence[tuple[Array, Array]]) -> tuple["_Axes", int]:
        """Axes of one scale, and the height of the drawing that they need."""
        x_low, x_high, y_low, y_high = _bounds(curves)
        width = 1.1 * max(x_high - x_low, (y_high - y_low) / _TALLEST_PLAN, _SMALLEST_PLAN)
        height = max(1.1 * (y_high - y_low), width * _FLATTEST_PLAN)
        x, y = (x_low + x_high) / 2, (y_low + y_high) / 2
        top = _TOP + _MARK_HEIGHT
        bottom = top + height / width * (_RIGHT - _LEFT)
        axes = cls(x - width / 2, x + width / 2, y - height / 2, y + height / 2, top, bottom)
        return axes, round(bottom + _HEIGHT - _BOTTOM)

    def across(self, x: float) -> float:
        return _LEFT + (x - self.x_low) / ((self.x_high - self.x_low) or 1) * (_RIGHT - _LEFT)

    def down(self, y: float) -> float:
        return self.bottom - (y - self.y_low) / ((self.y_high - self.y_low) or 1) * (self.bottom - self.top)


def runs(flags: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Where flags (T,) are set, as x ranges that reach half a step to either side."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(int)))
    return [(float(begin) - 0.5, float(end) - 0.5) for begin, end in edges.reshape(-1, 2)]


def _styles(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """Class and name of every line."""
    return [(line.style or f"c{index}", line.name) for index, line in enumerate(lines)]


def _bounds(curves: Iterable[tuple[Array, Array]]) -> tuple[float, float, float, float]:
    xs, ys = (np.concatenate(values) for values in zip(*curves, strict=True))
    return float(xs.min()), float(xs.max()), float(ys.min()), float(ys.max())


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
    ticks: Array = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return ticks + 0.0  # no minus before a zero


def _decades(low: float, high: float) -> Array:
    """Ticks between two decimal logarithms: whole decades, or 1, 2 and 5 of each where those are too few."""
    decades = np.arange(np.ceil(low), np.floor(high) + 1)
    if len(decades) > 2:
        return decades
    exponents = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    finer = np.log10([m * 10.0**e for e in exponents for m in (1, 2, 5)])
    inside = finer[(finer >= low) & (finer <= high)]
    return inside if len(inside) else np.array([low])


def _opening(title: str, summary: str, height: int) -> Markup:
    label = f"{title}: {summary}" if summary else title
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, height, label)


def _level(axes: _Axes, y: float, words: str) -> list[Markup]:
    height = axes.down(y)
    return [_rule("grid", _LEFT, height, _RIGHT, height), _text(_LEFT - 6, height + 4, words, "end")]


def _curve(style: str, axes: _Axes, xs: Array, ys: Array) -> Markup:
    points = " ".join(f"{axes.across(x):.1f},{axes.down(y):.1f}" for x, y in zip(xs, ys, strict=True))
    return Markup('<polyline class="{}" points="{}"/>').format(style, points)


def _disc(style: str, x: float, y: float) -> Markup:
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"/>').format(style, x, y, _MARKER)


def _square(style: str, x: float, y: float) -> Markup:
    square = '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{}" height="{}"/>'
    return Markup(square).format(style, x - _MARKER, y - _MARKER, 2 * _MARKER, 2 * _MARKER)


def _rule(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    line = '<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'
    return Markup(line).format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)
