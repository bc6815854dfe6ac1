"""Scales place values, keep outliers inside, and choose round ticks."""

from __future__ import annotations

import pytest

from reports.scales import Scale, area, line, linear, logarithmic, stems, steps


def test_linear_places_and_clamps() -> None:
    scale = Scale(low=0, high=100, start=0, end=200)
    assert [scale.place(value) for value in (0, 50, 100, 900, -5)] == [0, 100, 200, 200, 0]


def test_logarithmic_gives_each_decade_the_same_room() -> None:
    scale = Scale(low=1, high=100, start=0, end=200, log=True)
    assert [scale.place(value) for value in (1, 10, 100, 0)] == [0, 100, 200, 0]
    assert [tick.label for tick in scale.ticks()] == ["1", "2", "5", "10", "20", "50", "100"]


@pytest.mark.parametrize(("values", "low", "high"), [([3.2, 240], 2, 500), ([5.0], 5, 50), ([0.0, 0.3, 10], 0.2, 10)])
def test_logarithmic_ends_on_steps_that_enclose_the_values(values: list[float], low: float, high: float) -> None:
    scale = logarithmic(values, 0, 1)
    assert (scale.low, scale.high) == pytest.approx((low, high))


@pytest.mark.parametrize("high", [0.0, 3.0, 612.0, 1010.0, 5e6])
def test_linear_starts_at_zero_and_encloses(high: float) -> None:
    scale = linear(high, 290, 66)
    assert scale.low == 0
    assert scale.high >= high
    assert all(66 <= tick.at <= 290 for tick in scale.ticks())


def test_paths() -> None:
    assert line([(0.0, 1.5), (2.0, 3.0), None, (4.0, 5.0)]) == "M0 1.5L2 3M4 5L4 5"
    assert line([None, None]) == ""
    assert stems([(2.0, 3.0)], 9.0) == "M2 9V3"
    assert area([(0.0, 1.0), (2.0, 1.0)], [(0.0, 0.0), (2.0, 0.0)]) == "M0 1L2 1 2 0 0 0Z"


def test_steps_are_level_over_each_stretch_and_break_where_there_is_none() -> None:
    assert steps([(0.0, 1.0, 5.0), (1.0, 2.0, None), (2.0, 3.0, 4.0)]) == [(0, 5), (1, 5), None, (2, 4), (3, 4)]
