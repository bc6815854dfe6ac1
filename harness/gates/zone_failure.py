"""A whole zone dies under load: who notices, how soon, and what is lost."""

from __future__ import annotations

from harness.checks import experiment_limit, inadmissible, unknown
from harness.fault_checks import at_risk, detected, idle_before, kept, recovered, returned, unmet, unproven
from harness.fault_windows import fault_of
from harness.journal import deviated, objections
from harness.model import Case, Check, Gate, Outcome
from harness.slices import events, requests


def judge(case: Case) -> tuple[Check, ...]:
    """The experiment is on record as done, the fault as in place and gone; then LOST, TTD, TTR and the return.

    A busy generator or machine may also unsettle the steady state, so the load is checked before that is held against
    the service.
    """
    experiment, timeline = case.evidence["zone_crash"], events(case.evidence["timeline"])
    zone = str(experiment.facts["target_zone"])
    if zone not in case.plan.target.zones:
        raise ValueError(f"the experiment's zone {zone!r} is none of the Plan's")
    if found := objections(case.plan, experiment.facts, "zone_crash"):
        return unproven(case, "zone_crash", found)
    fault = fault_of(timeline, "zone_crash", [zone])
    if isinstance(fault, str):
        return (unknown("experiment", fault),)
    ledger = requests(case.evidence["ledger"])
    if refused := inadmissible("lost", case, ledger, "zone_crash"):
        return refused
    if deviated(experiment.facts):
        reason = "the steady state was not there again after the fault"
        return (Check(name="experiment", outcome=Outcome.FAIL, reason=reason),)
    rows, (requested, removed) = ledger.of("zone_crash"), fault.span_ns
    if why := idle_before(case, rows, zone, requested) or unmet(rows, fault):
        return (unknown("experiment", why),)
    lost_max, ttd_s_max, ttr_s_max = (
        experiment_limit(case, "zone_crash", key) for key in ("lost_max", "ttd_s_max", "ttr_s_max")
    )
    return (
        kept("lost", at_risk(rows, requested, removed, case.plan.slo.timeout_s), lost_max, "while the zone was down"),
        detected(case, rows, zone, fault.span_ns, ttd_s_max),
        recovered(case, rows, fault, ttr_s_max),
        returned(case, rows, zone, removed),
    )


GATE = Gate(
    id="zone_failure",
    area="Testing",
    title="Losing a zone goes unnoticed",
    failure_title="Losing a zone is not survived as promised",
    why="Zones do fail; whether users notice is decided before the launch, not on the day.",
    advice="Look at the fault in the charts: late detection is the edge's settings, loss after it is missing capacity.",
    requires=("ledger", "machine", "timeline", "edge", "zone_crash"),
    judge=judge,
)
