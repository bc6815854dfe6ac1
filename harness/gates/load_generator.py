"""Whether the load was what the schedule said, so that the other gates judge the service."""

from __future__ import annotations

from harness.checks import unknown
from harness.model import Case, Check, Gate, Outcome
from harness.slices import Requests, requests
from harness.validity import BLAME, LATENCY_BUDGET, beyond_promise, failure_budget, lag_limit_ms, lag_ms_p99, objections


def judge(case: Case) -> tuple[Check, ...]:
    """One check a scenario: complete, punctual, at the Plan's rates; what is beyond the promise is capacity's matter."""
    rows = requests(case.evidence["ledger"])
    return tuple(_scenario(case, rows, name) for name in sorted(case.evidence["ledger"].facts["scenarios"]))


def _scenario(case: Case, rows: Requests, name: str) -> Check:
    beyond = beyond_promise(case)
    phases = [phase for scenario, phase in rows.phases() if scenario == name and (scenario, phase) not in beyond]
    budget = min(LATENCY_BUDGET, failure_budget(case.plan))  # the strictest judged on these rows
    if found := objections(case, rows, name, phases, budget=budget):
        return unknown(name, f"{BLAME}: {'; '.join(found)}")
    lags_ms = [lag_ms_p99(rows.of(name, phase)) for phase in phases]
    worst_ms, limit_ms = max(lag for lag in lags_ms if lag is not None), lag_limit_ms(case.plan, name)
    return Check(
        name=name,
        outcome=Outcome.PASS,
        reason=f"{name}: sent at most {worst_ms:.2f} ms late at p99 in every phase; {limit_ms:g} ms allowed",
        observed=worst_ms,
        limit=limit_ms,
        unit="ms",
        n=len(rows.of(name)),
    )


GATE = Gate(
    id="load_generator",
    area="Testing",
    title="The load was what it claims to be",
    failure_title="The load was not what it claims to be",
    why="A generator that falls behind sends less than it says and hides the very delays that users would see.",
    advice="Give the load generator its own cores or machine, stop other work on it, and run again.",
    requires=("ledger", "machine"),
    judge=judge,
)
