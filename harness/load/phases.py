"""The phases of the common shapes of load, for the scenario files and for whoever runs them from a Plan.

Rule: pure; the names here are the names in the ledger.
"""

from __future__ import annotations

import numpy as np

from harness.load.spec import Phase


def sustained(rate_rps: float, hold_s: float, warmup_s: float = 0.0) -> tuple[Phase, ...]:
    """One rate, after a warm-up at the same rate if `warmup_s` is above 0."""
    warmup = (Phase("warmup", rate_rps, warmup_s),) if warmup_s > 0 else ()
    return (*warmup, Phase("hold", rate_rps, hold_s))


def spike(rate_rps: float, peak_rps: float, before_s: float, peak_s: float, after_s: float) -> tuple[Phase, ...]:
    """A step up, a hold, and a step back down; `after` shows how fast the service recovers."""
    return (
        Phase("before", rate_rps, before_s),
        Phase("peak", peak_rps, peak_s),
        Phase("after", rate_rps, after_s),
    )


def ramp(from_rps: float, to_rps: float, steps: int, step_s: float) -> tuple[Phase, ...]:
    """A staircase of `steps` equal steps from the first rate to the last, each held for `step_s`.

    Steps, because a capacity is a rate at which the SLO *held*: each step is a sample at one rate. Steps closer than a
    hundredth of a request per second are one.
    """
    if steps < 1:
        raise ValueError(f"steps must be 1 or more, not {steps}")
    rates = np.unique(np.linspace(from_rps, to_rps, steps).round(2))
    whole = len(np.unique(rates.round())) == len(rates)
    return tuple(Phase(f"step-{rate:04.0f}" if whole else f"step-{rate:07.2f}", float(rate), step_s) for rate in rates)
