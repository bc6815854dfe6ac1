"""The phases of the common shapes of load, for the scenario files and for whoever runs them from a Plan.

Rule: pure; the names here are the names in the ledger. A shape is a tuple of phases, so shapes are joined by `+`.
"""

from __future__ import annotations

import numpy as np

from harness.load.spec import Phase


def sustained(rate_rps: float, hold_s: float, warmup_s: float = 0.0) -> tuple[Phase, ...]:
    """One rate, after a warm-up at the same rate if `warmup_s` is above 0."""
    return (*_warmup(rate_rps, warmup_s), Phase("hold", rate_rps, hold_s))


def spike(rate_rps: float, peak_rps: float, before_s: float, peak_s: float, after_s: float) -> tuple[Phase, ...]:
    """A step up, a hold, and a step back down; `after` shows how fast the service recovers."""
    return (
        Phase("before", rate_rps, before_s),
        Phase("peak", peak_rps, peak_s),
        Phase("after", rate_rps, after_s),
    )


def ramp(from_rps: float, to_rps: float, ramp_s: float, hold_s: float = 0.0) -> tuple[Phase, ...]:
    """A rate that rises or falls linearly, and then holds the last rate if `hold_s` is above 0."""
    hold = (Phase("hold", to_rps, hold_s),) if hold_s > 0 else ()
    return (Phase("ramp", from_rps, ramp_s, to_rps), *hold)


def staircase(from_rps: float, to_rps: float, steps: int, step_s: float) -> tuple[Phase, ...]:
    """`steps` equal steps from the first rate up or down to the last, each held for `step_s`.

    Steps, because a capacity is a rate at which the SLO *held*: each step is a sample at one rate. Steps closer than a
    hundredth of a request per second are one.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, not {steps}")
    rates = np.unique(np.linspace(from_rps, to_rps, steps).round(2))[:: 1 if from_rps <= to_rps else -1]
    whole = len(np.unique(rates.round())) == len(rates)
    return tuple(Phase(f"step-{rate:04.0f}" if whole else f"step-{rate:07.2f}", float(rate), step_s) for rate in rates)


def soak(rate_rps: float, hold_s: float, period_s: float, warmup_s: float = 0.0) -> tuple[Phase, ...]:
    """One rate for long, in phases of one length, as near to `period_s` as divides `hold_s` evenly.

    Wear (leaks, full disks, growing queues) then shows as a trend from phase to phase.
    """
    if not (hold_s > 0 and period_s > 0):
        raise ValueError(f"a soak's length and its period must be above 0 s, not {hold_s:g} and {period_s:g}")
    count = max(1, round(hold_s / period_s))
    digits = len(str(count))
    periods = (Phase(f"period-{number:0{digits}}", rate_rps, hold_s / count) for number in range(1, count + 1))
    return (*_warmup(rate_rps, warmup_s), *periods)


def _warmup(rate_rps: float, warmup_s: float) -> tuple[Phase, ...]:
    return (Phase("warmup", rate_rps, warmup_s),) if warmup_s > 0 else ()
