"""Draws response time over the rate of requests: the steps that were held, the objective, the capacity and the knee.

Rule: pure and deterministic to the byte; geometry only, from what the verdict holds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reports.chart import Chart, Curve, Dot, Mark
from reports.frame import LEFT, RIGHT, Rule
from reports.numbers import number
from reports.scales import Scale, line, linear, logarithmic
from reports.series_tables import Table

if TYPE_CHECKING:
    from reports.series import Capacity, Step, Value

_LETTER_WIDTH = 6.8
_LAST_LABEL = 22
"""Room for half of the label of the last tick."""
_ABSENT = "–"
_OUTCOMES = {"PASS": "held", "FAIL": "did not hold", "UNKNOWN": "not proven"}


def capacity_chart(blank: Chart, found: Capacity | None) -> Chart:
    """p50 and p99 at each rate on a logarithmic axis; `blank` where the run measured none."""
    if found is None or not any(step.p50_ms for step in found.steps):
        return blank
    times = [value for step in found.steps for value in (step.p50_ms, step.p99_ms) if value]
    x = linear(max(step.rate_rps for step in found.steps), LEFT, RIGHT - _LAST_LABEL)
    y = logarithmic([*times, found.limit_ms], blank.bottom, blank.top)
    return replace(
        blank,
        measured=True,
        reading=reading(found),
        x_label="requests per second offered",
        y_label="response time, milliseconds (log)",
        x_ticks=x.ticks(10),
        y_ticks=y.ticks(5),
        lines=(
            Curve("99th percentile (p99)", "p99", _path(found, "p99_ms", x, y)),
            Curve("median (p50)", "p50", _path(found, "p50_ms", x, y)),
        ),
        rules=(Rule(LEFT, RIGHT, y.place(found.limit_ms)),),
        rule_name="objective for p99",
        dots=tuple(_dot(step, x, y) for step in found.steps if step.p99_ms),
        marks=_marks(found, x),
        table=_table(found),
    )


def reading(found: Capacity) -> str:
    """What the service carries, how near its p99 came to the objective there, and where the knee lies."""
    at = next((step for step in found.steps if step.rate_rps == found.held_rps), None)
    there = ""
    if at is not None and at.p99_ms is not None:
        there = f" At that rate the p99 was {number(at.p99_ms)} ms; {number(found.limit_ms)} ms are allowed."
    knee = f"Up to {number(found.steps[-1].rate_rps)} no knee was seen: response time grew less than the load."
    if found.knee_rps is not None:
        knee = f"The knee lies at about {number(found.knee_rps)}: from there on the median grew faster than the load."
    return f"The service {found.words}.{there} {knee}"


def _path(found: Capacity, name: str, x: Scale, y: Scale) -> str:
    values: list[tuple[float, Value]] = [(step.rate_rps, getattr(step, name)) for step in found.steps]
    return line(None if value is None else (x.place(rate), y.place(value)) for rate, value in values)


def _dot(step: Step, x: Scale, y: Scale) -> Dot:
    held = step.outcome == "PASS"
    story = f"{number(step.rate_rps)} requests a second: {_OUTCOMES[step.outcome]}, p99 {number(step.p99_ms or 0.0)} ms"
    return Dot(x.place(step.rate_rps), y.place(step.p99_ms or 0.0), "held" if held else "not-held", story)


def _marks(found: Capacity, x: Scale) -> tuple[Mark, ...]:
    """The capacity above the knee, so that neither label covers the other."""
    marks = []
    if found.held_rps:
        least = "" if found.failed_rps else "at least "
        marks.append(_mark(f"capacity {least}{number(found.held_rps)}", found.held_rps, x, "capacity", 0))
    if found.knee_rps is not None:
        marks.append(_mark(f"knee {number(found.knee_rps)}", found.knee_rps, x, "knee", 1))
    return tuple(marks)


def _mark(label: str, rate_rps: float, x: Scale, style: str, row: int) -> Mark:
    at, half = x.place(rate_rps), len(label) * _LETTER_WIDTH / 2
    return Mark(at, label, round(min(max(at, LEFT + half), RIGHT - half), 1), style, row)


def _table(found: Capacity) -> Table:
    def text(value: Value) -> str:
        return _ABSENT if value is None else number(round(value, 2))

    rows = tuple(
        (number(step.rate_rps), text(step.p50_ms), text(step.p99_ms), _OUTCOMES[step.outcome]) for step in found.steps
    )
    return Table(("offered, req/s", "p50, ms", "p99, ms", "objectives"), rows)
