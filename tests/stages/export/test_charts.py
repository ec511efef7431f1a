import re

import numpy as np
import pytest

from stages.export.charts import Chart, Line, Plan, runs


def points(svg: str) -> np.ndarray:
    found = re.search(r'points="([^"]+)"', svg)
    assert found
    return np.array([[float(v) for v in pair.split(",")] for pair in found[1].split()])


def test_curves_fall_where_values_fall() -> None:
    curve = points(Chart("t", "x", [Line("a", [0, 1, 2], [100, 10, 1])]).svg)
    assert (np.diff(curve, axis=0) > 0).all()  # rightwards and, in picture coordinates, downwards
    assert np.diff(curve[:, 1])[0] == pytest.approx(np.diff(curve[:, 1])[1], abs=0.2)  # logarithmic: straight


def test_long_and_partly_undrawable_curves() -> None:
    values = np.tile([1.0, 0.0, np.nan, np.inf, 2.0], 1000)
    svg = Chart("t", "x", [Line("a", range(5000), values)]).svg
    assert "nan" not in svg
    assert "inf" not in svg
    assert 100 < len(points(svg)) < 500
    assert "Nothing" in Chart("t", "x", [Line("a", [0], [np.nan])]).svg
    assert "Nothing" in Chart("t", "x", []).svg


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0], [1e-9, 1e9], [1.0, 1.0000001]])
def test_axes_of_any_range_have_ticks(values: list[float]) -> None:
    for logarithmic in (True, False):
        svg = Chart("t", "x", [Line("a", range(len(values)), values)], logarithmic=logarithmic).svg
        assert 1 <= svg.count('class="grid"') <= 25


def test_an_axis_holds_what_it_must() -> None:
    low = points(Chart("t", "x", [Line("a", [0, 1], [5, 6])], logarithmic=False).svg)
    zero = points(Chart("t", "x", [Line("a", [0, 1], [5, 6])], logarithmic=False, holds=[0]).svg)
    assert zero[0, 1] < low[0, 1] - 100  # further up, over the zero


def test_marks_lie_within_the_axes() -> None:
    svg = Chart("t", "x", [Line("a", [100, 200], [1, 2])], marks=[(0, "begin")]).svg
    mark = re.search(r'class="mark" x1="([^"]+)"', svg)
    assert mark
    assert float(mark[1]) < points(svg)[0, 0]


def test_stretches_are_shaded_where_they_are() -> None:
    flags = np.array([True, False, False, True, True, False])
    assert runs(flags) == [(-0.5, 0.5), (2.5, 4.5)]
    assert runs(np.zeros(4, bool)) == []
    chart = Chart("t", "x", [Line("a", range(6), range(1, 7))], spans=runs(flags), span_name="guessed")
    boxes = [
        [float(v) for v in box]
        for box in re.findall(r'rect class="span" x="([^"]+)" y="[^"]+" width="([^"]+)"', chart.svg)
    ]
    curve = points(chart.svg)[:, 0]
    step = curve[1] - curve[0]
    assert boxes[0] == pytest.approx([curve[0], step / 2], abs=0.2)  # as far as the axis goes
    assert boxes[1] == pytest.approx([curve[3] - step / 2, 2 * step], abs=0.2)
    assert ("span", "guessed") in chart.legend


def test_a_plan_has_one_scale_and_marks_start_and_end() -> None:
    plan = Plan("t", "x", "y", [Line("way", [0, 1, 1], [2, 2, 4], "after")])
    curve = points(plan.svg)
    right, up = np.diff(curve, axis=0)
    assert right[0] == pytest.approx(-up[1] / 2, abs=0.2)
    start = re.search(r'circle class="after" cx="([^"]+)" cy="([^"]+)"', plan.svg)
    end = re.search(r'rect class="after" x="([^"]+)" y="([^"]+)" width="([^"]+)"', plan.svg)
    assert start and end
    assert [float(v) for v in start.groups()] == pytest.approx(curve[0])
    x, y, width = (float(v) for v in end.groups())
    assert (x + width / 2, y + width / 2) == pytest.approx(curve[2], abs=0.2)


@pytest.mark.parametrize("x, y", [([1], [1]), ([0, 1e-4], [3, 3]), ([0, 50], [0, 0.1]), ([0, 0], [0, 90])])
def test_plans_of_any_shape_fit_the_page(x: list[float], y: list[float]) -> None:
    svg = Plan("t", "x", "y", [Line("way", x, y)]).svg
    width, height = (float(v) for v in re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
    assert 150 < height < 500
    inside = points(svg)
    assert (inside > 0).all()
    assert (inside < [width, height]).all()


def test_a_plan_of_nothing_says_so() -> None:
    assert "Nothing" in Plan("t", "x", "y", [Line("way", [np.nan], [1])]).svg
