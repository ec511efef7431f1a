import re

import numpy as np
import pytest

from stages.export.charts import Chart, Line


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
