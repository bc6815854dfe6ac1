"""The axes that the small charts of all experiments share, and where their three panels lie.

Rule: pure; each scale spans what any experiment measured, so that equal heights mean equal values everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reports.scales import Scale, Tick, linear, logarithmic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reports.experiments import Try
    from reports.series import Value

LEFT, RIGHT = 42, 378
TIMES, GOOD, ZONES = (60.0, 150.0), (172.0, 204.0), (226.0, 306.0)
"""Top and bottom of the panels: response time, share of good answers, answers by zone."""
_FLOORS = (0.99, 0.95, 0.9, 0.8, 0.5, 0.0)
"""Where the share of good answers may begin: the first that is at or under all values."""
_TICKS_MIN = 2


@dataclass(frozen=True, slots=True)
class Axes:
    """Seconds from the fault, response time, share of good answers, answers a second; None where nobody measured it."""

    x: Scale
    times: Scale | None
    good: Scale | None
    zones: Scale | None
    x_ticks: tuple[Tick, ...]
    times_ticks: tuple[Tick, ...]
    good_ticks: tuple[Tick, ...]
    zones_ticks: tuple[Tick, ...]


def axes(tries: Sequence[Try]) -> Axes | None:
    """The axes over all `tries`; None where none of them saw any second of load."""
    ends = [(item.seconds.t_s[0] - item.origin_s, item.seconds.end_s - item.origin_s) for item in tries if item.drawn]
    if not ends:
        return None
    x = Scale(low=min(start for start, _ in ends), high=max(end for _, end in ends), start=LEFT, end=RIGHT)
    times, good, zones = _times(tries), _good(tries), _zones(tries)
    return Axes(
        x,
        times,
        good,
        zones,
        x_ticks=tuple(replace(tick, label=tick.label.replace("-", "−")) for tick in x.ticks(7)),
        times_ticks=_decades(times.ticks()) if times else (),
        good_ticks=() if good is None else tuple(Tick(good.place(at), f"{at:.0%}") for at in (good.low, 1.0)),
        zones_ticks=zones.ticks(3) if zones else (),
    )


def _times(tries: Sequence[Try]) -> Scale | None:
    seen = _present(
        value for item in tries for values in (item.seconds.p50_ms, item.seconds.p99_ms) for value in values
    )
    limits = _present(item.slo_ms for item in tries)
    return logarithmic([*seen, *limits], TIMES[1], TIMES[0]) if any(seen) else None


def _good(tries: Sequence[Try]) -> Scale | None:
    seen = _present(value for item in tries for value in item.seconds.ok_ratio)
    if not seen:
        return None
    return Scale(low=next(floor for floor in _FLOORS if floor <= min(seen)), high=1.0, start=GOOD[1], end=GOOD[0])


def _zones(tries: Sequence[Try]) -> Scale | None:
    highest = max((total for item in tries for total in item.seconds.answered_rps()), default=0.0)
    return linear(highest, ZONES[1], ZONES[0]) if highest else None


def _present(values: Iterable[Value]) -> list[float]:
    return [value for value in values if value is not None]


def _decades(ticks: tuple[Tick, ...]) -> tuple[Tick, ...]:
    """The powers of ten alone, where there are enough of them: a low panel has no room for more."""
    powers = tuple(tick for tick in ticks if tick.label.replace(",", "").strip("0.") == "1")
    return powers if len(powers) >= _TICKS_MIN else ticks
