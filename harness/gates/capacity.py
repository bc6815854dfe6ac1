"""How much traffic the service carries within its objectives, against the traffic expected."""

from __future__ import annotations

from dataclasses import replace

from harness.capacity import Capacity, measured
from harness.checks import inadmissible
from harness.model import Case, Check, Gate, Outcome
from harness.slices import requests


def judge(case: Case) -> tuple[Check, ...]:
    """The highest rate that held, together with all lower ones, against the needs.

    What is needed in a year is a check where it is shown, and else told: it blocks no launch.
    """
    found, traffic = measured(case), case.plan.traffic
    if not found.steps:
        return inadmissible("capacity", case, requests(case.evidence["ledger"]), "staircase")
    year = found.held_rps >= traffic.one_year_rps
    told = f"{found.words}; {traffic.one_year_rps:g} req/s in a year {'is' if year else 'is not'} shown"
    needs = {"at_launch": traffic.launch_rps, "in_six_months": traffic.six_months_rps}
    checks = [_compare(name, need, found, told) for name, need in needs.items()]
    if year:  # without a limit: how near it is to one that is not judged is no weakness
        checks.append(replace(_compare("in_one_year", traffic.one_year_rps, found, told), limit=None))
    return tuple(checks)


def _compare(name: str, need: float, found: Capacity, told: str) -> Check:
    failed = found.failed_rps is not None and found.failed_rps <= need
    outcome = Outcome.PASS if found.held_rps >= need else Outcome.FAIL if failed else Outcome.UNKNOWN
    return Check(
        name=name,
        outcome=outcome,
        reason=told if outcome is Outcome.PASS else f"{told}; {need:g} needed; {found.reason}",
        observed=found.held_rps,
        limit=need,
        comparison="≥",
        unit="req/s",
        interval=found.interval_rps,
    )


GATE = Gate(
    id="capacity",
    area="Testing",
    title="Capacity for the next six months is there",
    failure_title="Capacity for the next six months is missing",
    why="Traffic grows faster than hardware is bought; a launch without head start is a launch into an outage.",
    advice="Add replicas or make requests cheaper until that rate holds; profile the step that broke.",
    requires=("ledger", "machine"),
    judge=judge,
)
