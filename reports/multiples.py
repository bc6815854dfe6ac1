"""Draws each experiment as the same three panels on the same axes, so that they can be compared at a glance.

Rule: pure and deterministic to the byte; geometry only. Zero is the instant at which the fault was requested; every
scale is shared by all experiments. A second that saw no request is a gap, never a zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reports.chart import Curve
from reports.experiment_readings import reading, tries_words
from reports.experiments import read_experiments
from reports.multiple_marks import Name, Shade, Upright, names, shade, uprights
from reports.multiple_scales import TIMES, ZONES, Axes, axes
from reports.scales import area, line, stacked, steps
from reports.series_tables import experiment_seconds
from reports.wording import OUTCOMES, Mark, experiment_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from reports.experiments import Experiment, Try
    from reports.scales import Point, Scale
    from reports.series import Values
    from reports.series_tables import Table

_Layer = tuple[str, list[float], list[float]]
"""A zone with the lower and the upper line of its band."""
_ZONE_STYLES = 4
_POINTS_MAX = 100
"""About three units of the drawing each; of more seconds, each point stands for several."""
_SEEN_LEAST = 3.0
"""A second with any failure is drawn at least this high, so that one in ten thousand is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The three panels of one experiment, ready for the template; a panel without values is empty."""

    shade: Shade | None
    uprights: tuple[Upright, ...]
    lines: tuple[Curve, ...]
    objective: float | None
    good: str
    failed: str
    areas: tuple[Curve, ...]
    names: tuple[Name, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Multiple:
    """One experiment's figure: its words, and its drawing and numbers where any second of it was measured."""

    name: str
    label: str
    tries: str
    mark: Mark
    reading: str
    drawing: Drawing | None
    table: Table | None


@dataclass(frozen=True, slots=True)
class Multiples:
    """All figures with the axes that they share, and the zones in the order of their colours."""

    axes: Axes | None
    zones: tuple[Curve, ...]
    figures: tuple[Multiple, ...]


def multiples(series: Mapping[str, Any]) -> Multiples:
    """A figure for each experiment, worst first; of an experiment that was repeated the worst try is drawn."""
    found = read_experiments(series)
    shown = [experiment.worst for experiment in found]
    shared = axes(shown)
    styles = _zone_styles(shown)
    legend = tuple(Curve(zone, style, "") for zone, style in styles.items())
    return Multiples(shared, legend, tuple(_multiple(experiment, shared, styles) for experiment in found))


def _zone_styles(tries: Sequence[Try]) -> dict[str, str]:
    """One style a zone, the same in every chart."""
    zones = sorted({zone for item in tries for zone in item.seconds.zones})
    return {zone: f"zone-{place % _ZONE_STYLES}" for place, zone in enumerate(zones)}


def _multiple(experiment: Experiment, shared: Axes | None, styles: Mapping[str, str]) -> Multiple:
    item = experiment.worst
    thin = replace(item, seconds=item.seconds.coarse(_POINTS_MAX)) if item.drawn else item
    return Multiple(
        name=experiment_words(item.name),
        label=item.label,
        tries=tries_words(experiment),
        mark=OUTCOMES[item.outcome],
        reading=reading(item),
        drawing=_drawing(thin, shared, styles) if shared is not None and item.drawn else None,
        table=experiment_seconds(item) if item.drawn else None,
    )


def _drawing(item: Try, shared: Axes, styles: Mapping[str, str]) -> Drawing:
    layers = stacked(dict(sorted(item.seconds.zones.items())), len(item.seconds.t_s))
    return Drawing(
        shade=shade(item, shared.x),
        uprights=uprights(item, shared.x),
        lines=_times(item, shared),
        objective=None if shared.times is None or item.slo_ms is None else shared.times.place(item.slo_ms),
        good=_seen(item, shared),
        failed=_failed(item, shared),
        areas=_areas(item, shared, layers, styles),
        names=(*_line_names(item, shared), *_zone_names(item, shared, layers)),
    )


def _times(item: Try, shared: Axes) -> tuple[Curve, ...]:
    wanted = (("p99", item.seconds.p99_ms), ("p50", item.seconds.p50_ms))
    curves = (Curve(style, style, _curve(item, values, shared.x, shared.times)) for style, values in wanted)
    return tuple(curve for curve in curves if curve.path)


def _curve(item: Try, values: Values, x: Scale, y: Scale | None) -> str:
    """A level stroke for each second, at its value."""
    return "" if y is None else line(_corners(item, values, x, y))


def _corners(item: Try, values: Values | list[float], x: Scale, y: Scale) -> list[Point | None]:
    spans = zip(item.spans_s(), values, strict=True)
    return steps(
        (x.place(start), x.place(end), None if value is None else y.place(value)) for (start, end), value in spans
    )


def _seen(item: Try, shared: Axes) -> str:
    """A level line over every second that saw requests: where all could have been answered."""
    return _curve(item, tuple(None if value is None else 1.0 for value in item.seconds.ok_ratio), shared.x, shared.good)


def _failed(item: Try, shared: Axes) -> str:
    """A bar that hangs from the top for each second in which a request failed, as deep as the share that did."""
    if shared.good is None:
        return ""
    top, bars = shared.good.place(1.0), []
    for (start_s, end_s), value in zip(item.spans_s(), item.seconds.ok_ratio, strict=True):
        if value is not None and value < 1:
            left, right = shared.x.place(start_s), shared.x.place(end_s)
            bars.append(f"M{left:g} {top:g}H{right:g}V{max(shared.good.place(value), top + _SEEN_LEAST):g}H{left:g}Z")
    return "".join(bars)


def _areas(item: Try, shared: Axes, layers: list[_Layer], styles: Mapping[str, str]) -> tuple[Curve, ...]:
    y = shared.zones
    if y is None:
        return ()

    def corners(values: list[float]) -> list[Point]:
        return [corner for corner in _corners(item, values, shared.x, y) if corner is not None]

    return tuple(Curve(zone, styles[zone], area(corners(upper), corners(lower))) for zone, lower, upper in layers)


def _line_names(item: Try, shared: Axes) -> tuple[Name, ...]:
    if shared.times is None:
        return ()
    ends = (("p99", item.seconds.p99_ms), ("p50", item.seconds.p50_ms), ("SLO", (item.slo_ms,)))
    last = ((text, next((value for value in reversed(values) if value), None)) for text, values in ends)
    return names(((shared.times.place(value), text, text.lower()) for text, value in last if value), TIMES[1])


def _zone_names(item: Try, shared: Axes, layers: list[_Layer]) -> tuple[Name, ...]:
    """Beside the middle of each band where it ends; what was broken stands out."""
    if shared.zones is None:
        return ()
    broken = () if item.requested_s is None else item.subjects
    wanted = [
        (shared.zones.place((lower[-1] + upper[-1]) / 2), zone, "broken" if zone in broken else "zone")
        for zone, lower, upper in layers
    ]
    return names(wanted, ZONES[1])
