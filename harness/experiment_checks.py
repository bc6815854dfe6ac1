"""Judges the runs of one experiment of the catalogue: on record as done, then what it cost, the worst run deciding.

Rule: pure and fail-closed. Each way in which a run proves nothing has its own reason and is UNKNOWN; what the service
did not hold is its FAIL. A run that is missing is UNKNOWN too, so fewer runs never look better than more.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.budget import budget_share
from harness.checks import inadmissible, limited, unknown, worst_check
from harness.experiment_runs import Run, catalogue_runs, first_attempts, over_slo, zones_of
from harness.extension import LOAD_PHASES
from harness.fault_checks import after, at_risk, detected, idle_before, kept, recovered, returned, unmet
from harness.fault_windows import Fault, fault_of
from harness.journal import BUDGET_SPENT, SAFEGUARD, deviated, objections, readings
from harness.model import Case, Check, Outcome
from harness.recovery import lost
from harness.slices import Requests, events, requests, scenario_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.extension import Extension

WHEN = "while the fault lasted and 5 s after"


def experiment_checks(case: Case, name: str) -> tuple[Check, ...]:
    """Every check of the Plan's experiment `name`, over all its runs."""
    wanted, runs = case.plan.experiments[name].repeats, catalogue_runs(case.evidence["experiments"], name)
    if sorted(run.repeat for run in runs) != list(range(1, wanted + 1)):
        return (unknown(f"{name}_experiment", f"{len(runs)} of {wanted} runs of {name} are on record"),)
    found: dict[str, list[Check]] = {}
    for run in runs:
        for check in run_checks(case, run):
            found.setdefault(check.name, []).append(check)
    return tuple(_combined(f"{name}_{key}", checks, wanted) for key, checks in found.items())


def run_checks(case: Case, run: Run) -> tuple[Check, ...]:
    """The checks of one run: whether it proves anything, and if so what it cost. What can't be read is UNKNOWN."""
    if run.extension is None:
        return (unknown("experiment", f"{run.scenario} skipped: {run.facts['error']}"),)
    try:
        proof = _proof(case, run, run.extension)
        if isinstance(proof, Check):
            return (proof,)
        done = f"{run.scenario}: baseline met, fault in place and gone, every step and rollback done"
        return (Check(name="experiment", outcome=Outcome.PASS, reason=done), *_costs(case, run, run.extension, proof))
    except Exception as error:  # noqa: BLE001 - one broken record leaves the other experiments to be judged
        return (unknown("experiment", f"{run.scenario} could not be judged ({type(error).__name__}: {error})"),)


def _proof(case: Case, run: Run, told: Extension) -> Fault | Check:
    """The fault of a run that proves something; or the one check that says why it does not, or what it failed at.

    What may be the generator's or the machine's doing is asked before anything is held against the service.
    """
    ledger, spent = requests(case.evidence["ledger"]), run.facts["ended_by"] == SAFEGUARD
    undone = "; ".join(objections(case.plan, run.facts, run.experiment, told.expectations))
    fault = fault_of(events(case.evidence["timeline"]), run.scenario, told.subjects)
    if not spent and (undone or isinstance(fault, str)):
        return unknown("experiment", f"{run.scenario}: {undone or fault}")
    if other := _other_load(case, run, told) or inadmissible("experiment", case, ledger, run.scenario):
        return other[0]
    if spent or isinstance(fault, str):
        return _failed(f"{run.scenario}: {BUDGET_SPENT}")
    if deviated(run.facts):
        return _failed(f"{run.scenario}: the steady state was not there again after the fault")
    rows = ledger.of(run.scenario)
    if why := unmet(rows, fault):
        return unknown("experiment", f"{run.scenario}: {why}")
    idle = [reason for zone in zones_of(case, run) if (reason := idle_before(case, rows, zone, fault.requested_ns))]
    return unknown("experiment", f"{run.scenario}: {idle[0]}") if idle else fault


def _other_load(case: Case, run: Run, told: Extension) -> tuple[Check, ...]:
    """One UNKNOWN when the load was not the kind that the file asks for; empty when it was."""
    phases = [phase["name"] for phase in scenario_facts(case.evidence["ledger"], run.scenario)["phases"]]
    if phases == list(LOAD_PHASES[told.load]):
        return ()
    return (unknown("experiment", f"{run.scenario}: its load was not the {told.load} one that its file asks for"),)


def _failed(reason: str) -> Check:
    return Check(name="experiment", outcome=Outcome.FAIL, reason=reason)


def _costs(case: Case, run: Run, told: Extension, fault: Fault) -> list[Check]:
    """LOST and the budget always; what else the Plan limits, the file expects, and whether its zones are used again."""
    limits, rows = case.plan.experiments[run.experiment], requests(case.evidence["ledger"]).of(run.scenario)
    window, risked = after(rows, *fault.span_ns), at_risk(rows, *fault.span_ns, case.plan.slo.timeout_s)
    checks = [kept("lost", risked, limits.lost_max, WHEN), _budget(case, run, risked)]
    if limits.ttd_s_max is not None:
        checks.append(_ttd(case, run, rows, fault, limits.ttd_s_max))
    if limits.ttr_s_max is not None:
        checks.append(recovered(case, rows, fault, limits.ttr_s_max))
    if limits.over_slo_ratio_max is not None:
        checks.append(_over_slo(case, window, limits.over_slo_ratio_max))
    if limits.retry_amplification_max is not None:
        checks.append(_amplification(case, run, fault, limits.retry_amplification_max))
    if back := [returned(case, rows, zone, fault.removed_ns) for zone in zones_of(case, run)]:
        checks.append(worst_check(back))
    return [*checks, *_expectations(run, told)]


def _budget(case: Case, run: Run, risked: Requests) -> Check:
    found, limit = lost(risked), case.plan.experiments[run.experiment].budget_share_max
    share = budget_share(case.plan, found.definite + found.indeterminate)
    words = f"one such fault burns {share:.3%} of 30 days' error budget; {limit:.3%} allowed"
    return limited("budget", share, limit, "ratio", reason=words, n=found.n)


def _ttd(case: Case, run: Run, rows: Requests, fault: Fault, limit_s: float) -> Check:
    zones = zones_of(case, run)
    if not zones:
        return unknown("ttd", "no zone was broken that the edge could stop sending to")
    return worst_check([detected(case, rows, zone, fault.span_ns, limit_s) for zone in zones])


def _over_slo(case: Case, window: Requests, limit: float) -> Check:
    served = window.served()
    over = int(over_slo(case, served).sum())
    if not len(served):
        return unknown("over_slo", "no requests were due in the fault's window")
    words = f"{over} of {len(served):,} requests over the latency limit {WHEN}; {limit:.3%} allowed"
    return limited("over_slo", over / len(served), limit, "ratio", reason=words, n=len(served))


def _amplification(case: Case, run: Run, fault: Fault, limit: float) -> Check:
    """Attempts beyond the first against those allowed: measured from 1, the room to spare would always look small."""
    found = first_attempts(case, run, fault)
    if found is None:
        return unknown("retry_amplification", "the edge's counters were not read over the fault's window")
    words = f"{found.attempts:,.0f} attempts for {found.first:,.0f} requests {WHEN}; {limit:g} for each allowed"
    return limited("retry_amplification", found.amplification - 1, limit - 1, "ratio", reason=words, n=int(found.first))


def _expectations(run: Run, told: Extension) -> list[Check]:
    checks = []
    for probe in told.expectations:
        read, name = readings(run.facts, probe), probe.replace("-", "_")
        if not read:
            checks.append(unknown(name, f"{run.scenario}: {probe} was not read"))
        else:
            outcome = Outcome.PASS if all(read) else Outcome.FAIL
            words = "read as expected" if all(read) else 'read "no"'
            checks.append(Check(name=name, outcome=outcome, reason=f"{run.scenario}: {probe} {words}"))
    return checks


def _combined(name: str, checks: Sequence[Check], wanted: int) -> Check:
    """One check for all runs: the worst, with the median of all beside it where there were several."""
    found = worst_check(checks)
    if wanted == 1:
        return replace(found, name=name)
    values = [check.observed for check in checks if check.observed is not None]
    median = f", median {statistics.median(values):.3g}" if len(values) == len(checks) else ""
    which = (
        f"the only one of {wanted} runs that shows it"
        if len(checks) == 1
        else f"the worst of {len(checks)} runs{median}"
    )
    return replace(found, name=name, reason=f"{found.reason}; {which}")
