"""Numbers are short, honest about how close they are, and carry their units."""

from __future__ import annotations

import pytest

from reports.numbers import against, number, quantity, span


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (11.83, "11.8"),
        (7204, "7,204"),
        (12_345.6, "12,346"),
        (0.183, "0.183"),
        (0.99953, "0.99953"),
        (1.19e-7, "1.19 × 10⁻⁷"),
        (-0.5, "-0.5"),
        (100.4, "100"),
        (float("inf"), "not measured"),
        (float("nan"), "not measured"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.9995, "99.95\xa0%"), (0.999824, "99.982\xa0%"), (1.0, "100\xa0%"), (0.0005, "0.05\xa0%"), (0.0, "0\xa0%")],
)
def test_ratios_are_percentages_whose_nines_can_be_counted(ratio: float, text: str) -> None:
    assert quantity(ratio, "ratio") == text


def test_absence_is_said() -> None:
    assert quantity(None, "ms") == "not measured"
    assert span(None, "ms") == ""


def test_units_do_not_part_from_their_number() -> None:
    assert quantity(11.83, "ms") == "11.8\xa0ms"
    assert span((11.1, 12.9), "ms") == "11.1 to 12.9\xa0ms"
    assert span((0.9998, 1.0), "ratio") == "99.98 to 100\xa0%"


def test_what_misses_its_limit_by_a_hair_does_not_look_equal_to_it() -> None:
    assert against(50.004, 50.0, "ms") == ("50.004\xa0ms", "50\xa0ms")
    assert against(0.999499999, 0.9995, "ratio")[0] != "99.95\xa0%"
    assert against(50.0, 50.0, "ms") == ("50\xa0ms", "50\xa0ms")
    assert against(3.0, None, "s") == ("3\xa0s", "")
