"""Turns the series of a verdict into charts, ready to draw: response time, throughput, zones, distribution, capacity.

Rule: pure and deterministic to the byte; geometry only. A chart that has nothing to draw says so and never shows empty
axes. Each has a title, a sentence that says what to see, units on its axes, and its numbers as a table.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reports import readings, series_tables
from reports.capacity_chart import capacity_chart
from reports.chart import Chart, Curve, Row
from reports.frame import LEFT, RIGHT, Rule, frame, time_axis
from reports.scales import Point, Scale, area, line, linear, logarithmic, stacked, stems
from reports.series import Distribution, Series, Values, read, read_capacity
from reports.wording import scenario_words

if TYPE_CHECKING:
    from collections.abc import Mapping

_BINS_DRAWN_MAX = 480
"""About two units of the drawing each; more could not be told apart."""
_ZONE_STYLES = 4
_ROW_HEIGHT, _ROW_GAP, _ROWS_TOP = 44.0, 14.0, 24.0
_OBJECTIVE = "objective for p99"


def charts(series: Mapping[str, Any]) -> tuple[Chart, ...]:
    """The charts of a report, in the order of the page; all always, measured or not."""
    run = read(series)
    drawn = run.coarse(_BINS_DRAWN_MAX)
    absent = f"Not measured: {series['error']}" if "error" in series else "Not measured in this run."

    def blank(chart_id: str, title: str) -> Chart:
        return Chart(id=chart_id, title=title, reading=absent)

    return (
        _response_time(blank("response-time", "Response time over the run"), drawn, run),
        _throughput(blank("throughput", "Requests answered and failed over the run"), drawn, run),
        _zones(blank("zones", "Requests answered by each zone"), drawn, run),
        capacity_chart(blank("capacity", "Response time as the load grows"), read_capacity(series)),
        _distribution(blank("distribution", "How response times are distributed"), run),
    )


def _response_time(blank: Chart, drawn: Series, run: Series) -> Chart:
    """p50 and p99 of each bin on a logarithmic axis, with the objective of each scenario."""
    seen = [value for values in (drawn.p50_ms, drawn.p99_ms) for value in values if value]
    if not any(drawn.p99_ms):
        return blank
    y = logarithmic([*seen, *run.slo_ms.values()], blank.bottom, blank.top)
    chart = replace(
        _over_time(blank, drawn, y),
        reading=readings.response_time(run),
        y_label="response time, milliseconds (log)",
        rule_name=_OBJECTIVE if run.slo_ms else "",
        table=series_tables.response_time(run),
    )
    p99, p50 = (_curve(drawn, values, y) for values in (drawn.p99_ms, drawn.p50_ms))
    lines = Curve("99th percentile (p99)", "p99", p99), Curve("median (p50)", "p50", p50)
    return replace(chart, lines=lines, rules=_objectives(run, y))


def _throughput(blank: Chart, drawn: Series, run: Series) -> Chart:
    """Answered and failed requests a second, with the rate that was offered."""
    seen = [value for values in (drawn.ok_rps, drawn.failed_rps) for value in values if value is not None]
    if not seen:
        return blank
    y = linear(max([*seen, *(phase.rate_rps for phase in run.phases)]), blank.bottom, blank.top)
    chart = replace(
        _over_time(blank, drawn, y),
        reading=readings.throughput(run),
        y_label="requests per second",
        rule_name="offered" if run.phases else "",
        table=series_tables.throughput(run),
    )
    failures = ((at, value) for at, value in enumerate(drawn.failed_rps) if value)
    failed = stems(
        ((time_axis(drawn).place(drawn.middle_s(at)), y.place(value)) for at, value in failures), blank.bottom
    )
    lines = (
        Curve("answered", "answered", _curve(drawn, drawn.ok_rps, y)),
        Curve("failed" if failed else "failed (none)", "failed", failed),
    )
    return replace(chart, lines=lines, rules=_offers(run, y))


def _zones(blank: Chart, drawn: Series, run: Series) -> Chart:
    """Answers of each zone, stacked from the bottom in the zones' order."""
    if not any(value for values in drawn.zones.values() for value in values):
        return blank
    layers = stacked(drawn.zones, len(drawn.t_s))
    y = linear(max(max(upper) for _, _, upper in layers), blank.bottom, blank.top)
    return replace(
        _over_time(blank, drawn, y),
        reading=readings.zones(run),
        y_label="requests per second, stacked",
        table=series_tables.zones(run),
        areas=tuple(
            Curve(zone, f"zone-{place % _ZONE_STYLES}", area(_points(drawn, upper, y), _points(drawn, lower, y)))
            for place, (zone, lower, upper) in enumerate(layers)
        ),
    )


def _distribution(blank: Chart, run: Series) -> Chart:
    """One histogram a scenario, on a common logarithmic axis."""
    if not run.distributions:
        return blank
    edges = [edge for item in run.distributions for low, high, _ in item.bars() for edge in (low, high)]
    limits = {item.scenario: run.slo_ms.get(item.scenario) for item in run.distributions}
    x = logarithmic([*edges, *(limit for limit in limits.values() if limit)], LEFT + 78, RIGHT - 70)
    rows = tuple(_row(place, item, x, limits[item.scenario]) for place, item in enumerate(run.distributions))
    return replace(
        blank,
        measured=True,
        reading=readings.distribution(run),
        bottom=rows[-1].base,
        x_label="response time, milliseconds (log)",
        x_ticks=x.ticks(),
        rows=rows,
        rule_name=_OBJECTIVE if any(limits.values()) else "",
        table=series_tables.distribution(run),
    )


def _over_time(blank: Chart, drawn: Series, y: Scale) -> Chart:
    axis = frame(drawn)
    return replace(blank, measured=True, frame=axis, x_ticks=axis.x.ticks(10), y_ticks=y.ticks(5))


def _curve(drawn: Series, values: Values, y: Scale) -> str:
    x = time_axis(drawn)
    places = enumerate(values)
    return line(None if value is None else (x.place(drawn.middle_s(at)), y.place(value)) for at, value in places)


def _points(drawn: Series, values: list[float], y: Scale) -> list[Point]:
    x = time_axis(drawn)
    return [(x.place(drawn.middle_s(at)), y.place(value)) for at, value in enumerate(values)]


def _objectives(run: Series, y: Scale) -> tuple[Rule, ...]:
    """The objective of each scenario, over its stretch of the run."""
    x, stretches = time_axis(run), run.scenarios().items()
    limited = ((run.slo_ms[name], stretch) for name, stretch in stretches if name in run.slo_ms)
    return tuple(Rule(x.place(start_s), x.place(end_s), y.place(limit)) for limit, (start_s, end_s) in limited)


def _offers(run: Series, y: Scale) -> tuple[Rule, ...]:
    """The offered rate of each phase."""
    x = time_axis(run)
    return tuple(Rule(x.place(item.start_s), x.place(item.end_s), y.place(item.rate_rps)) for item in run.phases)


def _row(place: int, item: Distribution, x: Scale, limit_ms: float | None) -> Row:
    """A histogram's bars, as high as their share of the scenario's fullest bar."""
    base = _ROWS_TOP + place * (_ROW_HEIGHT + _ROW_GAP) + _ROW_HEIGHT
    fullest = max(item.counts)
    bars = "".join(
        f"M{x.place(low):g} {base:g}V{base - _ROW_HEIGHT * count / fullest:.1f}H{x.place(high):g}V{base:g}Z"
        for low, high, count in item.bars()
    )
    return Row(scenario_words(item.scenario), item.n, base, bars, None if limit_ms is None else x.place(limit_ms))
