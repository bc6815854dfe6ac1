"""Drives the Locust scenarios of a run: sustained, spike and ramp, at the rates of the Plan's traffic.

Rule: each scenario is one Locust process with its own schedule, seeded from its name and the Plan; a scenario that
breaks leaves the others to run, and its rows are accounted for in the ledger as never sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.collectors import CollectError, Collector, Context
from harness.collectors.driving import finish, load_spec, start
from harness.load.spec import Phase

if TYPE_CHECKING:
    from harness.model import Evidence


def collect(context: Context) -> tuple[Evidence, ...]:
    """Run the three scenarios one after the other."""
    for scenario, phases in _scenarios(context).items():
        spec = load_spec(context, scenario, phases)
        rates = f"{min(phase.rate_rps for phase in phases):.0f}-{max(phase.rate_rps for phase in phases):.0f}"
        context.progress.step(f"Load: {scenario}, {rates} requests a second", spec.duration_s + 2)
        try:
            finish(start(context, spec, f"{scenario}.py"))
        except CollectError as error:
            context.load_errors[scenario] = str(error)
    return ()


def _scenarios(context: Context) -> dict[str, tuple[Phase, ...]]:
    traffic, profile = context.plan.traffic, context.profile
    launch = traffic.launch_rps
    return {
        "sustained": (Phase("warmup", launch, profile.warmup_s), Phase("hold", launch, profile.sustained_s)),
        "spike": (
            Phase("before", launch, profile.spike_before_s),
            Phase("peak", traffic.spike_rps, profile.spike_peak_s),
            Phase("after", launch, profile.spike_after_s),
        ),
        "ramp": _ramp(launch, traffic.one_year_rps, profile.ramp_steps, profile.ramp_step_s),
    }


def _ramp(first_rps: float, last_rps: float, steps: int, step_s: float) -> tuple[Phase, ...]:
    """Equal steps from the rate at launch to the rate in a year."""
    rates = [first_rps + (last_rps - first_rps) * step / max(1, steps - 1) for step in range(steps)]
    return tuple(Phase(f"step-{rate:04.0f}", rate, step_s) for rate in rates)


COLLECTORS = (Collector(ids=(), order=30, collect=collect),)
