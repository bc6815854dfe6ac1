"""The chart of the capacity shows each step where it was measured, and what held apart from what did not."""

from __future__ import annotations

from dataclasses import replace

from reports.capacity_chart import capacity_chart, reading
from reports.chart import Chart
from reports.render import render
from reports.series import Capacity, read_capacity
from tests.reports.sample import go
from tests.reports.sample_series import capacity

BLANK = Chart(id="capacity", title="t", reading="Not measured in this run.")


def found(**changes: object) -> Capacity:
    read = read_capacity({"capacity": capacity() | changes})
    assert read is not None
    return read


def test_each_step_is_a_dot_that_says_how_it_was_judged() -> None:
    chart = capacity_chart(BLANK, found())
    assert [dot.style for dot in chart.dots] == ["held"] * 4 + ["not-held"] * 2  # at 1,000 there was no p99
    assert [dot.x for dot in chart.dots] == sorted(dot.x for dot in chart.dots)
    assert chart.dots[4].story == "775 requests a second: did not hold, p99 62 ms"
    assert chart.table is not None
    assert chart.table.rows[-1] == ("1,000", "400", "–", "did not hold")


def test_the_objective_lies_between_what_held_and_what_did_not() -> None:
    chart = capacity_chart(BLANK, found())
    (rule,) = chart.rules
    assert all((dot.y > rule.at) == (dot.style == "held") for dot in chart.dots)


def test_capacity_and_knee_are_marked_at_their_steps() -> None:
    chart = capacity_chart(BLANK, found())
    assert [(mark.label, mark.at) for mark in chart.marks] == [
        ("capacity 750", chart.dots[3].x),
        ("knee 600", chart.dots[2].x),
    ]
    least = capacity_chart(BLANK, found(failed_rps=None, knee_rps=None))
    assert [mark.label for mark in least.marks] == ["capacity at least 750"]
    assert capacity_chart(BLANK, found(held_rps=0.0, knee_rps=None)).marks == ()


def test_the_reading_says_what_is_drawn() -> None:
    assert reading(found()) == (
        "The service carries 750 req/s, not 775. At that rate the p99 was 33 ms; 50 ms are allowed. "
        "The knee lies at about 600: from there on the median grew faster than the load."
    )
    assert "Up to 1,000 no knee was seen" in reading(found(knee_rps=None))
    assert "At that rate" not in reading(found(held_rps=0.0))


def test_without_steps_nothing_is_drawn() -> None:
    assert capacity_chart(BLANK, None) is BLANK
    assert capacity_chart(BLANK, found(steps=[])) is BLANK
    assert read_capacity({}) is None


def test_the_legend_names_only_what_is_there() -> None:
    assert "not held, or not proven" in render(go())
    held = capacity() | {"steps": capacity()["steps"][:4], "failed_rps": None}
    assert "not held, or not proven" not in render(replace(go(), series={**go().series, "capacity": held}))
