"""What first attempts met behind the edge, where retries hide it from clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.attempts import attempts, counter_readings, host_readings, spared_ns
from harness.checks import blame_generator, limited, proportion, unknown
from harness.model import Case, Check, Gate
from harness.slices import load_span_ns, requests
from harness.validity import beyond_promise, objections

if TYPE_CHECKING:
    from harness.attempts import Spans


def judge(case: Case) -> tuple[Check, ...]:
    """Failed first attempts and retries refused, outside faults and steps beyond the promise; all retries / attempts.

    Per cluster. The edge never retries what it mirrors, so a first attempt has failed when its host says so, too.
    """
    slo, beyond, rows = case.plan.slo, beyond_promise(case), requests(case.evidence["ledger"])
    for scenario in sorted({name for name, _ in rows.phases()} | set(case.evidence["ledger"].facts["scenarios"])):
        phases = [phase for name, phase in rows.phases() if name == scenario and (name, phase) not in beyond]
        if found := objections(case, rows, scenario, phases, budget=slo.first_attempt_failure_ratio_max):
            return blame_generator("primary_retries", found)
    clusters = {"primary": case.plan.target.zones} | ({"candidate": ()} if case.plan.target.candidate else {})
    spared = spared_ns(case)
    return tuple(check for name, zones in clusters.items() for check in _cluster(case, name, zones, spared))


def _cluster(case: Case, name: str, zones: tuple[str, ...], spared: Spans) -> tuple[Check, ...]:
    slo, edge, span_ns = case.plan.slo, case.evidence["edge"], load_span_ns(case.evidence["ledger"])
    counters, hosts = counter_readings(edge, name), host_readings(edge, name, zones, spared)
    if unread_s := max(counters.unread_s(span_ns, spared), hosts.unread_s(span_ns, spared)):
        return (unknown(f"{name}_retries", f"the edge was not read for {unread_s:.2g} s of the load"),)
    found = attempts(counters, hosts, spared)
    blocks, ratio_max = (found.over, found.first), slo.first_attempt_failure_ratio_max
    failed = proportion(f"{name}_retries", blocks, ratio_max, slo.confidence, what=f"first attempts at {name} failed")
    lack = f"{found.refused} retries at {name} refused because the retry budget was spent; none may be"
    words = f"{found.retries_in_all:,.0f} retries of {found.first_in_all:,.0f} first attempts at {name}, in faults too"
    return (
        failed,
        limited(f"{name}_refused", float(found.refused), 0, "retries", reason=lack),
        limited(f"{name}_retry_budget", found.retry_ratio, slo.retry_ratio_max, "ratio", reason=words),
    )


GATE = Gate(
    id="first_attempts",
    area="Operations",
    title="Requests succeed at the first attempt",
    failure_title="Retries hide failures",
    why="Retries make one failure in a hundred invisible to clients, until load doubles and they cause an outage.",
    advice="Find which zone fails first attempts in the edge's counters, and fix that before adding retries.",
    requires=("edge", "ledger", "machine", "timeline"),
    judge=judge,
)
