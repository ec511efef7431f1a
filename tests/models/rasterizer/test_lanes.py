from collections.abc import Callable

import numpy as np
from numba import njit

from models.rasterizer.lanes import (
    WIDTH,
    any_lane,
    exp2,
    lane_columns,
    lane_rows,
    load,
    root,
    spread,
    store,
    total,
    where,
)

VALUES = np.linspace(-3, 5, WIDTH + 3, dtype=np.float32)
SHIFTED = VALUES[3:]


def filled(fill: Callable) -> np.ndarray:
    """What the function stores into an array of one Lanes."""
    result = np.zeros(WIDTH, np.float32)
    njit(fill)(VALUES, result)
    return result


def test_arithmetic_with_lanes_and_scalars() -> None:
    def fill(values, result):  # type: ignore[no-untyped-def]
        a, b = load(values, 0), load(values, 3)
        b += 1
        store(result, 0, (2 * a - b) / 4.0 + a * b - spread(0.5))

    a, b = VALUES[:WIDTH], SHIFTED + 1
    np.testing.assert_allclose(filled(fill), (2 * a - b) / 4 + a * b - 0.5, rtol=1e-6, atol=1e-6)


def test_comparisons_and_choice() -> None:
    def fill(values, result):  # type: ignore[no-untyped-def]
        a = load(values, 3)
        chosen = where(a >= values[5], a, where(a > values[4], 10.0, np.float32(20)))
        store(result, 0, chosen)

    np.testing.assert_array_equal(filled(fill), [20, 20, *SHIFTED[2:]])


def test_any_lane() -> None:
    @njit
    def some_above(values, limit):  # type: ignore[no-untyped-def]
        return any_lane(load(values, 3) > limit)

    assert some_above(VALUES, np.float32(4.99))
    assert not some_above(VALUES, np.float32(5))


def test_total() -> None:
    @njit
    def sum_of(values):  # type: ignore[no-untyped-def]
        return total(load(values, 0))

    assert sum_of(np.arange(WIDTH, dtype=np.float32)) == WIDTH * (WIDTH - 1) / 2


def test_pixels_of_a_block() -> None:
    def fill(values, result):  # type: ignore[no-untyped-def]
        store(result, 0, lane_columns() + 100 * lane_rows())

    np.testing.assert_array_equal(filled(fill), [*range(8), *range(100, 108)])


def test_exp2_over_its_range() -> None:
    @njit
    def powers(exponents, result):  # type: ignore[no-untyped-def]
        for start in range(0, len(exponents), WIDTH):
            store(result, start, exp2(load(exponents, start)))

    exponents = np.linspace(-126, 127, 1000 * WIDTH, dtype=np.float32)
    result = np.empty_like(exponents)
    powers(exponents, result)
    np.testing.assert_allclose(result, 2.0 ** exponents.astype(np.float64), rtol=2e-7)


def test_root() -> None:
    def fill(values, result):  # type: ignore[no-untyped-def]
        a = load(values, 0)
        store(result, 0, root(a * a))

    np.testing.assert_allclose(filled(fill), np.abs(VALUES[:WIDTH]), rtol=1e-6)
