"""Whether the load was what the schedule said, so that the other gates judge the service."""

from __future__ import annotations

from harness.calibration import ability
from harness.checks import unknown
from harness.model import Case, Check, Gate, Outcome
from harness.slices import Requests, requests, scenario_facts
from harness.validity import (
    BLAME,
    LATENCY_BUDGET,
    beyond_promise,
    diagnosis,
    failure_budget,
    lag_limit_ms,
    lag_ms_p99,
    objections,
)


def judge(case: Case) -> tuple[Check, ...]:
    """What the generator can do, then one check a scenario: complete, punctual, at the Plan's rates where promised."""
    rows, names = requests(case.evidence["ledger"]), sorted(case.evidence["ledger"].facts["scenarios"])
    return (ability(case), *(_scenario(case, rows, name) for name in names))


def _scenario(case: Case, rows: Requests, name: str) -> Check:
    beyond, mine = beyond_promise(case), rows.of(name)
    phases = [phase for scenario, phase in mine.phases() if (scenario, phase) not in beyond]
    budget = min(LATENCY_BUDGET, failure_budget(case.plan))  # the strictest judged on these rows
    if found := objections(case, rows, name, phases, budget=budget):
        return unknown(name, f"{BLAME}: {'; '.join(found)}")
    lags_ms = [lag for phase in phases if (lag := lag_ms_p99(mine.of(name, phase))) is not None]
    worst_ms, limit_ms = max(lags_ms, default=None), max(lag_limit_ms(case.plan, name, item) for item in ["", *phases])
    words = "complete, and beyond what is promised"
    if phases:
        words = f"sent at most {worst_ms:.2f} ms late at p99 in every phase; {limit_ms:g} ms allowed"
    reason = f"{name}: {words}{diagnosis(scenario_facts(case.evidence['ledger'], name))}"
    return Check(
        name=name,
        outcome=Outcome.PASS,
        reason=reason,
        observed=worst_ms,
        limit=limit_ms if phases else None,
        unit="ms",
        n=len(mine),
    )


GATE = Gate(
    id="load_generator",
    area="Testing",
    title="The load was what it claims to be",
    failure_title="The load was not what it claims to be",
    why="A generator that falls behind sends less than it says and hides the very delays that users would see.",
    advice="Give the load generator its own cores or machine, stop other work on it, and run again.",
    requires=("ledger", "machine", "calibration"),
    judge=judge,
)
