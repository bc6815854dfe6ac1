"""Turns the series of a verdict into four charts, ready to draw: response time, throughput, zones, distribution.

Rule: pure and deterministic to the byte; geometry only. A chart that has nothing to draw says so, never shows an empty
axis. Each chart has a title, one sentence that says what to see, units on its axes, and the numbers as a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reports import readings, series_tables
from reports.frame import LEFT, RIGHT, WIDTH, Frame, Rule, frame
from reports.scales import Point, Scale, Tick, area, line, linear, logarithmic
from reports.series import Distribution, Phase, Series, Values, read
from reports.series_tables import Table

_BINS_DRAWN_MAX = 480
_TOP, _BOTTOM = 66.0, 290.0
_ROW_HEIGHT, _ROW_GAP = 44.0, 14.0


@dataclass(frozen=True, slots=True)
class Curve:
    """One drawn quantity: its name, the style class that colours it, and its path."""

    name: str
    style: str
    path: str


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario's histogram: its label, its base line, its bars and the limit that applies to it."""

    label: str
    n: int
    base: float
    path: str
    limit: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One figure of the page. `frame` is set for charts over the run, `rows` for the distribution."""

    id: str
    title: str
    reading: str
    measured: bool = True
    width: int = WIDTH
    bottom: float = _BOTTOM
    x_label: str = "seconds since the run began"
    y_label: str = ""
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    frame: Frame | None = None
    areas: tuple[Curve, ...] = ()
    lines: tuple[Curve, ...] = ()
    rules: tuple[Rule, ...] = ()
    rule_name: str = ""
    rows: tuple[Row, ...] = ()
    table: Table = field(default_factory=lambda: Table((), ()))


def charts(series: Mapping[str, Any]) -> tuple[Chart, ...]:
    """The charts of a report, in the order of the page; all four always, measured or not."""
    run = read(series)
    drawn = run.coarse(_BINS_DRAWN_MAX)
    return _response_time(drawn, run), _throughput(drawn, run), _zones(drawn, run), _distribution(run)


def _response_time(drawn: Series, run: Series) -> Chart:
    title = "Response time over the run"
    seen = [value for values in (drawn.p50_ms, drawn.p99_ms) for value in values if value is not None and value > 0]
    if not seen:
        return _absent("response-time", title)
    axis = frame(drawn)
    y = logarithmic([*seen, *run.slo_ms.values()], _BOTTOM, _TOP)
    return Chart(
        id="response-time",
        title=title,
        reading=readings.response_time(run),
        y_label="response time, milliseconds (log)",
        x_ticks=axis.x.ticks(10),
        y_ticks=y.ticks(),
        frame=axis,
        lines=(
            Curve("99th percentile (p99)", "p99", _curve(drawn, drawn.p99_ms, axis.x, y)),
            Curve("median (p50)", "p50", _curve(drawn, drawn.p50_ms, axis.x, y)),
        ),
        rules=_limits(run, axis.x, y),
        rule_name="objective for p99",
        table=series_tables.response_time(run),
    )


def _throughput(drawn: Series, run: Series) -> Chart:
    title = "Requests answered and failed over the run"
    seen = [value for value in drawn.ok_rps if value is not None]
    if not seen:
        return _absent("throughput", title)
    axis = frame(drawn)
    y = linear(max([*seen, *(phase.rate_rps for phase in run.phases)]), _BOTTOM, _TOP)
    failures = _curve(drawn, drawn.failed_rps, axis.x, y) if any(drawn.failed_rps) else ""
    return Chart(
        id="throughput",
        title=title,
        reading=readings.throughput(run),
        y_label="requests per second",
        x_ticks=axis.x.ticks(10),
        y_ticks=y.ticks(5),
        frame=axis,
        lines=(
            Curve("answered", "answered", _curve(drawn, drawn.ok_rps, axis.x, y)),
            Curve("failed" if failures else "failed (none)", "failed", failures),
        ),
        rules=tuple(_offered(phase, axis.x, y) for phase in run.phases),
        rule_name="offered",
        table=series_tables.throughput(run),
    )


def _zones(drawn: Series, run: Series) -> Chart:
    title = "Requests answered by each zone"
    if not any(value for values in drawn.zones.values() for value in values):
        return _absent("zones", title)
    axis = frame(drawn)
    layers = _stacked(drawn.zones, len(drawn.t_s))
    y = linear(max(max(upper) for _, _, upper in layers), _BOTTOM, _TOP)
    return Chart(
        id="zones",
        title=title,
        reading=readings.zones(run),
        y_label="requests per second, stacked",
        x_ticks=axis.x.ticks(10),
        y_ticks=y.ticks(5),
        frame=axis,
        areas=tuple(
            Curve(zone, f"zone-{index % 4}", area(_points(drawn, upper, axis.x, y), _points(drawn, lower, axis.x, y)))
            for index, (zone, lower, upper) in enumerate(layers)
        ),
        table=series_tables.zones(run),
    )


def _distribution(run: Series) -> Chart:
    title = "How response times are distributed"
    if not run.distributions:
        return _absent("distribution", title)
    edges = [edge for item in run.distributions for low, high, _ in item.bars() for edge in (low, high)]
    x = logarithmic([*edges, *run.slo_ms.values()], LEFT + 78, RIGHT - 70)
    rows = tuple(_row(index, item, x, run.slo_ms.get(item.scenario)) for index, item in enumerate(run.distributions))
    return Chart(
        id="distribution",
        title=title,
        reading=readings.distribution(run),
        bottom=rows[-1].base,
        x_label="response time, milliseconds (log)",
        x_ticks=x.ticks(),
        rows=rows,
        rule_name="objective for p99",
        table=series_tables.distribution(run),
    )


def _absent(chart_id: str, title: str) -> Chart:
    return Chart(id=chart_id, title=title, reading="Not measured in this run.", measured=False)


def _curve(drawn: Series, values: Values, x: Scale, y: Scale) -> str:
    return line(
        None if value is None else (x.place(drawn.middle_s(index)), y.place(value))
        for index, value in enumerate(values)
    )


def _points(drawn: Series, values: list[float], x: Scale, y: Scale) -> list[Point]:
    return [(x.place(drawn.middle_s(index)), y.place(value)) for index, value in enumerate(values)]


def _limits(run: Series, x: Scale, y: Scale) -> tuple[Rule, ...]:
    """The objective of each scenario, drawn over its stretch."""
    return tuple(
        Rule(x.place(start_s), x.place(end_s), y.place(run.slo_ms[name]), "")
        for name, (start_s, end_s) in run.scenarios().items()
        if name in run.slo_ms
    )


def _offered(phase: Phase, x: Scale, y: Scale) -> Rule:
    return Rule(x.place(phase.start_s), x.place(phase.end_s), y.place(phase.rate_rps), "")


def _stacked(zones: Mapping[str, Values], bins: int) -> list[tuple[str, list[float], list[float]]]:
    """Each zone with its lower and upper line, in the zones' order; a bin without a value counts as zero."""
    layers, lower = [], [0.0] * bins
    for zone, values in zones.items():
        upper = [below + (value or 0.0) for below, value in zip(lower, values, strict=True)]
        layers.append((zone, lower, upper))
        lower = upper
    return layers


def _row(index: int, item: Distribution, x: Scale, limit_ms: float | None) -> Row:
    """A histogram's outline; its bars are as high as their share of the scenario's fullest bar."""
    base = 24 + index * (_ROW_HEIGHT + _ROW_GAP) + _ROW_HEIGHT
    fullest = max(item.counts)
    bars = "".join(
        f"M{x.place(low):g} {base:g}V{base - _ROW_HEIGHT * count / fullest:.1f}H{x.place(high):g}V{base:g}Z"
        for low, high, count in item.bars()
    )
    return Row(item.scenario, item.n, base, bars, None if limit_ms is None else x.place(limit_ms))
