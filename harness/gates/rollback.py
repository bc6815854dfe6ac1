"""The candidate is promoted under load and taken back: how fast, and at what loss."""

from __future__ import annotations

from harness.checks import experiment_limit, inadmissible, unknown
from harness.fault_checks import kept, switched, unproven
from harness.journal import deviated, objections
from harness.model import Case, Check, Gate, Outcome
from harness.recovery import SEND_LIMIT_S
from harness.slices import SECOND_NS, events, first_event, requests


def judge(case: Case) -> tuple[Check, ...]:
    """The experiment is on record as done; then the switch time each way, and LOST over the whole scenario."""
    experiment, timeline = case.evidence["rollback"], events(case.evidence["timeline"])
    if found := objections(case.plan, experiment.facts, "rollback"):
        return unproven(case, "rollback", found)
    promoted = first_event(timeline, "promoted", "candidate")
    if promoted is None:
        return (unknown("experiment", "the candidate was not promoted: nothing was there to roll back"),)
    rolled_back = first_event(timeline, "rolled_back", "primary", promoted)
    if rolled_back is None:
        return (unknown("experiment", "not rolled back: nothing on the timeline says that the route was restored"),)
    ledger = requests(case.evidence["ledger"])
    if refused := inadmissible("lost", case, ledger, "rollback"):
        return refused
    if deviated(experiment.facts):
        reason = "the steady state was not there again after the rollback"
        return (Check(name="experiment", outcome=Outcome.FAIL, reason=reason),)
    rows, target = ledger.of("rollback"), case.plan.target
    before = rolled_back - SEND_LIMIT_S * SECOND_NS  # a request due later may be sent after the route is back
    lost_max = experiment_limit(case, "rollback", "lost_max")
    return (
        kept("lost", rows, lost_max, "during promotion and rollback"),
        switched("promotion", case, rows, (promoted, before), target.candidate),
        switched("rollback", case, rows, (rolled_back, float("inf")), target.version),
    )


GATE = Gate(
    id="rollback",
    area="Release",
    title="A bad version can be taken back at once",
    failure_title="A bad version can't be taken back as promised",
    why="A version that can't be taken back within seconds turns every release into a bet.",
    advice="Look at the versions that answered around the switch; drain connections, or keep routes for less time.",
    requires=("ledger", "machine", "timeline", "rollback"),
    judge=judge,
)
