"""Drives the Locust scenarios of a run: sustained, spike and staircase, at the rates of the Plan's traffic.

Rule: each scenario is one Locust process with its own schedule, seeded from its name and the Plan; a scenario that
breaks leaves the others to run, and its rows are accounted for in the ledger as never sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.calibration import covers, refusal
from harness.collectors import CollectError, Collector, Context
from harness.collectors.driving import finish, load_spec, start
from harness.load.phases import spike, staircase, sustained
from harness.validity import STAIRCASE

if TYPE_CHECKING:
    from harness.load.spec import Phase
    from harness.model import Evidence


def collect(context: Context) -> tuple[Evidence, ...]:
    """Run the three scenarios one after the other."""
    for scenario, phases in _scenarios(context).items():
        spec = load_spec(context, scenario, _able(context, scenario, phases))
        rates = f"{min(phase.rate_rps for phase in phases):.0f}-{max(phase.rate_rps for phase in phases):.0f}"
        context.progress.step(f"Load: {scenario}, {rates} requests a second", spec.duration_s + 2)
        try:
            finish(start(context, spec, f"{scenario}.py"))
        except CollectError as error:
            context.load_errors[scenario] = str(error)
    return ()


def _able(context: Context, scenario: str, phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
    """The phases to drive: of a staircase, only the steps that the generator can do, if it can do any."""
    able = tuple(phase for phase in phases if covers(context.able_rps, phase.rate_rps))
    if scenario != STAIRCASE or not able or able == phases:
        return phases
    context.refused[scenario] = refusal(context.able_rps, phases[-1].rate_rps)
    return able


def _scenarios(context: Context) -> dict[str, tuple[Phase, ...]]:
    """Phases by scenario; the staircase goes from the rate at launch to the rate in a year."""
    traffic, profile = context.plan.traffic, context.profile
    launch, spike_s = traffic.launch_rps, (profile.spike_before_s, profile.spike_peak_s, profile.spike_after_s)
    return {
        "sustained": sustained(launch, profile.sustained_s, profile.warmup_s),
        "spike": spike(launch, traffic.spike_rps, *spike_s),
        STAIRCASE: staircase(launch, traffic.one_year_rps, profile.staircase_steps, profile.staircase_step_s),
    }


COLLECTORS = (Collector(ids=(), order=30, collect=collect),)
