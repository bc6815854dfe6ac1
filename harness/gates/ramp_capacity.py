"""How much traffic the service carries within its latency SLO, against the traffic projected."""

from __future__ import annotations

from dataclasses import replace

from harness.checks import inadmissible, latency, unknown
from harness.model import Case, Check, Gate, Outcome
from harness.slices import Requests, requests, scenario_facts


def judge(case: Case) -> tuple[Check, ...]:
    """The highest step that holds the latency SLO, together with all lower ones, is a lower bound of capacity."""
    facts, capacity = scenario_facts(case.evidence["ledger"], "ramp"), 0.0
    rows = requests(case.evidence["ledger"])
    for rate, phase in sorted((float(step["rate_rps"]), str(step["name"])) for step in facts["phases"]):
        step = _step(case, rows, phase)
        if step.outcome is not Outcome.PASS:
            return _compare(case, capacity, step, rate)
        capacity = rate
    return _compare(case, capacity, unknown("ramp", "no higher rate was tried"), float("inf"))


def _step(case: Case, rows: Requests, phase: str) -> Check:
    if found := inadmissible(phase, case, rows, "ramp", [phase]):
        return found[0]
    return latency(phase, rows.of("ramp", phase), case.plan.slo.latency_ms_p99, case.plan.slo.confidence)


def _compare(case: Case, capacity: float, stopped: Check, rate: float) -> tuple[Check, ...]:
    """The needs against a capacity, and why the search stopped at `rate`. Next year's need is told, not judged."""
    traffic, checks = case.plan.traffic, []
    year = "is" if capacity >= traffic.one_year_rps else "is not"
    shown = f"carries at least {capacity:g} req/s; {traffic.one_year_rps:g} req/s in a year {year} shown"
    for name, need in (("at_launch", traffic.launch_rps), ("in_six_months", traffic.six_months_rps)):
        failed = stopped.outcome is Outcome.FAIL and rate <= need
        outcome = Outcome.PASS if capacity >= need else Outcome.FAIL if failed else Outcome.UNKNOWN
        why = shown if outcome is Outcome.PASS else f"{shown}; {need:g} needed; at {rate:g}: {stopped.reason}"
        check = Check(name=name, outcome=outcome, reason=why, observed=capacity, limit=need)
        checks.append(replace(check, comparison="≥", unit="req/s"))
    return tuple(checks)


GATE = Gate(
    id="ramp_capacity",
    area="Testing",
    title="Capacity for the next six months is there",
    failure_title="Capacity for the next six months is missing",
    why="Traffic grows faster than hardware is bought; a launch without head start is a launch into an outage.",
    advice="Add replicas or make requests cheaper until the ramp holds that rate; profile the step that broke.",
    requires=("ledger", "machine"),
    judge=judge,
)
