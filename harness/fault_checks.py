"""Builds the checks on what a fault or a switch of versions did to users.

Rule: pure. What was measured is in `recovery`; here it meets the Plan's limits, three-valued and in plain words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.checks import experiment_limit, inadmissible, limited, unknown, worst_check
from harness.journal import BUDGET_SPENT, SAFEGUARD
from harness.model import Case, Check, Outcome
from harness.recovery import detection, lost, switch_s, ttr_s, zone_share
from harness.slices import SECOND_NS, SETTLE_S, Requests, requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.fault_windows import Fault

RETURN_DELAY_S = 1.0
"""The edge finds a zone healthy by its next checks; from this long after its proven return it must have traffic."""
ROWS_MIN = 20
"""Fewer requests than this show neither a share of traffic nor a switch: at a third of all, three in ten thousand times
none of twenty would reach a zone in use."""
ARRIVAL_S_MAX = 0.5
"""The last request of a load may be due this long before its end; of 20 a second, one gap in twenty thousand is."""
ROUNDING_S = 0.2
"""Windows start in steps: a stretch of them that covers some seconds may need this much more load."""
RETURN_SHARE_MIN = 0.5
"""A zone that is back must get at least half of its fair share; connections made meanwhile may still favour others."""


def unproven(case: Case, name: str, found: Sequence[str]) -> tuple[Check, ...]:
    """What `found` against the record of experiment `name` makes of its gate: UNKNOWN; FAIL when the service did it.

    That is when so many requests failed that the experiment was ended for it, and not by the generator's doing.
    """
    if case.evidence[name].facts.get("ended_by") != SAFEGUARD:
        return (unknown("experiment", "; ".join(found)),)
    refused = inadmissible("experiment", case, requests(case.evidence["ledger"]), name)
    return refused or (Check(name="experiment", outcome=Outcome.FAIL, reason=BUDGET_SPENT),)


def after(rows: Requests, requested_ns: float, removed_ns: float) -> Requests:
    """The rows due in a fault's window."""
    end = removed_ns + SETTLE_S * SECOND_NS
    return rows.where((rows.intended_ns >= requested_ns) & (rows.intended_ns <= end))


def at_risk(rows: Requests, requested_ns: float, removed_ns: float, timeout_s: float) -> Requests:
    """The rows that a fault may have lost: those due in its window, and those that were open when it was requested.

    A request without an answer was open until its deadline.
    """
    ends = np.where(np.isfinite(rows.done_ns), rows.done_ns, rows.intended_ns + timeout_s * SECOND_NS)
    still_open = (rows.intended_ns < requested_ns) & np.isfinite(rows.sent_ns) & (ends >= requested_ns)
    due = (rows.intended_ns >= requested_ns) & (rows.intended_ns <= removed_ns + SETTLE_S * SECOND_NS)
    return rows.where(np.asarray(still_open | due))


def idle_before(case: Case, rows: Requests, zone: str, requested_ns: float) -> str:
    """Why killing `zone` tested nothing: it was not in use before its fault was requested; empty when it was."""
    earlier = rows.where(rows.intended_ns < requested_ns).served()
    share = zone_share(earlier, zone)
    if share is None or len(earlier) < ROWS_MIN:
        return f"only {len(earlier)} requests were due before the fault"
    if share < RETURN_SHARE_MIN / len(case.plan.target.zones):
        return f"{zone} had no fair share of traffic before the fault, so nothing was tested"
    return ""


def unmet(rows: Requests, fault: Fault) -> str:
    """Why the load did not meet the fault, or not for as long as it may cost something; empty when it did.

    Enough requests must be due while the fault was proven in place, and the load must go on for 5 s after its removal.
    """
    due = rows.where((rows.intended_ns >= fault.in_place_ns) & (rows.intended_ns < fault.removed_ns)).served()
    if len(due) < ROWS_MIN:
        return f"only {len(due)} requests were due while the fault was in place; {ROWS_MIN} needed"
    watched_s = (float(rows.intended_ns.max()) - fault.removed_ns) / SECOND_NS
    if watched_s < SETTLE_S - ARRIVAL_S_MAX:
        return f"the load went on for only {max(0.0, watched_s):.1f} s after the fault was gone; {SETTLE_S:g} s needed"
    return ""


def kept(name: str, rows: Requests, lost_max: float, when: str) -> Check:
    """LOST, judged on its upper end; the interval runs from certainly lost to possibly lost."""
    found = lost(rows)
    if not found.n:
        return unknown(name, f"no requests were due {when}")
    upper = found.definite + found.indeterminate
    count = f"{upper}" if upper == found.definite else f"{found.definite} to {upper}"
    words = f"{count} of {found.n:,} requests lost {when}; {lost_max:g} allowed"
    return Check(
        name=name,
        outcome=Outcome.PASS if upper <= lost_max else Outcome.FAIL,
        reason=words,
        observed=float(upper),
        limit=lost_max,
        unit="requests",
        interval=(found.definite, upper),
        n=found.n,
    )


def detected(case: Case, rows: Requests, zone: str, fault_ns: tuple[float, float], limit_s: float) -> Check:
    """TTD against its limit."""
    found = detection(case.evidence["edge"], rows, zone, fault_ns, case.plan.slo.timeout_s)
    if found.blind:
        return unknown("ttd", found.blind)
    if found.ttd_s is None:
        reason = f"the edge went on sending to {zone} for as long as the fault lasted"
        return Check(name="ttd", outcome=Outcome.FAIL, reason=reason, limit=limit_s, unit="s")
    reason = f"the edge stopped sending to {zone} after {found.ttd_s:.2f} s; {limit_s:g} s allowed"
    return limited("ttd", found.ttd_s, limit_s, "s", reason=reason)


def recovered(case: Case, rows: Requests, fault: Fault, limit_s: float) -> Check:
    """TTR against its limit, from the fault's request and once more from its removal: a zone's return disturbs, too.

    UNKNOWN when the load ended too soon to tell.
    """
    return worst_check(
        [
            _met_again(case, rows, (fault.requested_ns, fault.in_place_ns), "the fault", limit_s),
            _met_again(case, rows, (fault.removed_ns, fault.removed_ns), "its removal", limit_s),
        ]
    )


def _met_again(case: Case, rows: Requests, from_ns: tuple[float, float], since: str, limit_s: float) -> Check:
    """`from_ns`: when the disturbance was asked for, and when it was there."""
    found = ttr_s(rows, *from_ns, case.plan)
    if found is not None:
        reason = f"the SLO was met again {found:.1f} s after {since} and for {SETTLE_S:g} s on; {limit_s:g} s allowed"
        return limited("ttr", found, limit_s, "s", reason=reason)
    watched_s, seen_s = ((stamp - from_ns[0]) / SECOND_NS for stamp in (rows.intended_ns.max(), from_ns[1]))
    if watched_s < max(limit_s, seen_s + ROUNDING_S) + SETTLE_S:
        return unknown("ttr", f"the load went on for only {watched_s:.1f} s after {since}")
    reason = f"the SLO was not met again in the {watched_s:.0f} s of load after {since}"
    return Check(name="ttr", outcome=Outcome.FAIL, reason=reason, limit=limit_s, unit="s")


def returned(case: Case, rows: Requests, zone: str, removed_ns: float) -> Check:
    """The zone has traffic again once it is back, read from the zone that answered."""
    later = rows.where(rows.intended_ns >= removed_ns + RETURN_DELAY_S * SECOND_NS).served()
    share = zone_share(later, zone)
    if share is None or len(later) < ROWS_MIN:
        return unknown("return", f"only {len(later)} requests were due after {zone} was back")
    fair = 1 / len(case.plan.target.zones)
    return Check(
        name="return",
        outcome=Outcome.PASS if share >= RETURN_SHARE_MIN * fair else Outcome.FAIL,
        reason=f"{zone} answered {share:.0%} of requests once it was back; its fair share is {fair:.0%}",
        observed=share,
        limit=RETURN_SHARE_MIN * fair,
        comparison="≥",
        unit="ratio",
        n=len(later),
    )


def switched(name: str, case: Case, rows: Requests, span_ns: tuple[float, float], version: str) -> Check:
    """Switch time against its limit; `span_ns` is from the replaced route to the end of what may show it.

    A switch is seen only under load: it must go on for at least as long as the switch may take.
    """
    limit_s = experiment_limit(case, "rollback", "switch_s_max")
    due = rows.intended_ns[(rows.intended_ns >= span_ns[0]) & (rows.intended_ns < span_ns[1])]
    if not len(due):
        return unknown(name, f"no requests were due after the {name}")
    watched_s = (float(due.max()) - span_ns[0]) / SECOND_NS
    if watched_s < limit_s or len(due) < ROWS_MIN:
        return unknown(name, f"the load went on for only {watched_s:.2f} s ({len(due)} requests) after the {name}")
    found = switch_s(rows, *span_ns, version, case.plan.slo.timeout_s)
    if found is None:
        reason = f"{name}: version {version} never took over all traffic"
        return Check(name=name, outcome=Outcome.FAIL, reason=reason, limit=limit_s, unit="s")
    reason = f"{name}: version {version} alone answered after {found:.2f} s; {limit_s:g} s allowed"
    return limited(name, found, limit_s, "s", reason=reason)
