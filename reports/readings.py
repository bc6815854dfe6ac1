"""One sentence under each chart: what to see there, read from the very numbers that are drawn.

Rule: pure; states what the series holds and judges nothing, for the gates judge whole phases and say so elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.numbers import number
from reports.wording import BROKEN, counted, fault_words, listed, scenario_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.series import Fault, Series, Value

_AROUND_S = 2.0
"""How much of the run before and after a fault is compared with it."""


def response_time(run: Series) -> str:
    """The slowest bin, and in how many the objective was missed; of answered requests, as failed ones have no time."""
    worst = max((i for i, value in enumerate(run.p99_ms) if value is not None), key=lambda i: run.p99_ms[i] or 0.0)
    peak = f"The slowest {_bin(run)} had a p99 of {number(run.p99_ms[worst] or 0.0)} ms{_place(run, worst)}."
    limits = [(value, _limit(run, index)) for index, value in enumerate(run.p99_ms) if value is not None]
    held = [value <= limit for value, limit in limits if limit is not None]
    if not held:
        return peak
    if all(held):
        return f"The p99 of answered requests stayed at or under its objective in every {_bin(run)} measured. {peak}"
    missed = f"{held.count(False)} of {len(held)} measurements, one for each {_bin(run)}"
    return f"The p99 of answered requests was above its objective in {missed}. {peak}"


def throughput(run: Series) -> str:
    """The highest rate answered, and what failed."""
    best = max(range(len(run.ok_rps)), key=lambda index: run.ok_rps[index] or 0.0)
    peak = f"The most answered was {number(round(run.ok_rps[best] or 0.0))} requests a second{_place(run, best)}"
    counted = [value for value in run.failed_rps if value is not None]
    if not counted:
        return f"{peak}; failures were not recorded."
    failed = round(sum(counted) * run.bin_s)
    if not failed:
        return f"{peak}; no request failed. Where answered and offered part, the service or the generator fell behind."
    first = next(index for index, value in enumerate(run.failed_rps) if value)
    return f"{peak}; {failed:,} requests failed, the first{_place(run, first)}."


def zones(run: Series) -> str:
    """What the zone that was broken answered before, during and after; many faults have charts of their own."""
    if run.crowded:
        return f"{counted(len(run.faults), 'fault')} shaded here, each drawn by itself under “{BROKEN.capitalize()}”."
    told = [_told(run, fault) for fault in run.faults if fault.subject in run.zones]
    return " ".join(told) or "Each band is one zone's share of the answers; equal bands mean balanced zones."


def distribution(run: Series) -> str:
    """Where 99 of 100 requests lie, scenario by scenario."""
    parts = [f"{number(item.within_ms(0.99))} ms in {scenario_words(item.scenario)}" for item in run.distributions]
    return f"99 of 100 answers came within {listed(parts)}. Bars show shares: each row's fullest bar has full height."


def _told(run: Series, fault: Fault) -> str:
    values = run.zones[fault.subject]
    before = _mean(run, values, fault.start_s - _AROUND_S, fault.start_s)
    during = [value or 0.0 for value in _between(run, values, fault.start_s, fault.end_s)]
    scenario_end_s = max(
        (end_s for start_s, end_s in run.scenarios().values() if start_s <= fault.start_s), default=0.0
    )
    after = _mean(run, values, scenario_end_s - _AROUND_S, scenario_end_s)
    least = min(during, default=0.0)
    return (
        f"{fault_words(fault.kind, fault.subject)}: it answered {before} requests a second before, "
        f"{number(round(least))} at the lowest, and {after} at the end of that load."
    )


def _between(run: Series, values: Sequence[Value], start_s: float, end_s: float) -> list[Value]:
    return [value for index, value in enumerate(values) if start_s <= run.middle_s(index) < end_s]


def _mean(run: Series, values: Sequence[Value], start_s: float, end_s: float) -> str:
    found = [value or 0.0 for value in _between(run, values, start_s, end_s)]
    return number(round(sum(found) / len(found))) if found else "an unknown number of"


def _limit(run: Series, index: int) -> float | None:
    phase = run.phase_at(run.middle_s(index))
    return run.slo_ms.get(phase.scenario) if phase else None


def _place(run: Series, index: int) -> str:
    phase = run.phase_at(run.middle_s(index))
    during = f", during {scenario_words(phase.scenario)}" if phase else ""
    return f" {number(round(run.t_s[index]))} s into the run{during}"


def _bin(run: Series) -> str:
    return {0.5: "half second", 1.0: "second"}.get(run.bin_s, f"stretch of {number(run.bin_s)} s")
