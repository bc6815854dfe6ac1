"""Measures a fault or a switch on the ledger, the timeline and the edge's view: TTD, TTR, LOST and switch time.

Rule: pure, and pessimistic wherever two readings are possible: a request without an answer may have been the
service's until its deadline, so it counts at that time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.model import Evidence, Status
from harness.slices import SECOND_NS, SETTLE_S, Mask, Requests
from harness.validity import LATENCY_BUDGET, slo_ms

if TYPE_CHECKING:
    import pandas as pd

    from harness.plan_types import Plan
    from harness.stats import Reals

STEP_NS = SECOND_NS // 10
RETURN_S = 2.0
"""A restarted zone serves, and the edge may use it, this long before the probe that proves its return is done."""
SEND_LIMIT_S = 0.25
"""The generator sends no request later than this after it was due; from then on a switch of the route binds it."""
POLL_GAPS_MAX = 10
"""The edge's state is not known over a gap of more than this many poll intervals."""
SENT = ["rq_total", "cx_connect_fail"]
"""What a host is sent, and what could not be; the edge's own health checks count in neither."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Requests of a window that certainly got no good answer, those that may have, and all."""

    definite: int
    indeterminate: int
    n: int


def lost(rows: Requests) -> Lost:
    """LOST of the rows given."""
    rows = rows.served()
    bad = ~rows.answered()
    maybe = bad & np.isin(rows.status, Status.INDETERMINATE)
    return Lost(int(np.sum(bad & ~maybe)), int(np.sum(maybe)), len(rows))


def ttr_s(rows: Requests, requested_ns: float, in_place_ns: float, plan: Plan) -> float | None:
    """Fault requested → the SLO is met, and for 5 s after: the first start from which every window of 1 s holds it.

    It must hold for 5 s from when the fault was seen in place, too: what was met before had nothing to recover from.
    Windows start every 100 ms. A window holds the SLO when it has requests, at most 1 % of them over the latency
    limit or failed, and no greater share failed than availability allows. None when the load never saw that.
    """
    rows = rows.served()
    order = np.argsort(rows.intended_ns, kind="stable")
    rows = rows.where(np.asarray(order))
    starts = np.arange(requested_ns, rows.intended_ns[-1] - SECOND_NS, STEP_NS) if len(rows) else np.zeros(0)
    times_ms = rows.response_ms()
    first, last = (np.searchsorted(rows.intended_ns, edge) for edge in (starts, starts + SECOND_NS))
    n, slow, failed = (
        last - first,
        _within(times_ms > slo_ms(plan, rows), first, last),
        _within(~np.isfinite(times_ms), first, last),
    )
    held = (n > 0) & (slow <= LATENCY_BUDGET * n) & (failed <= (1 - plan.slo.availability) * n)
    run = round((SETTLE_S - 1) * SECOND_NS / STEP_NS) + 1
    late = max(0, math.ceil((in_place_ns - requested_ns) / STEP_NS))
    if late + run > len(held):
        return None
    for start in range(len(held) - run + 1):
        if held[start : max(start, late) + run].all():
            return start * STEP_NS / SECOND_NS
    return None


def _within(mask: Mask, first: Any, last: Any) -> Any:
    totals = np.concatenate(([0], np.cumsum(mask)))
    return totals[last] - totals[first]


@dataclass(frozen=True, slots=True)
class Detection:
    """`ttd_s` is None when the edge never stopped; `blind` says why its state can't be told."""

    ttd_s: float | None
    blind: str = ""


def detection(edge: Evidence, rows: Requests, zone: str, fault_ns: tuple[float, float], timeout_s: float) -> Detection:
    """Fault requested → the edge stops sending to `zone` for as long as the fault lasts.

    That is the first poll after which every host of the zone is unhealthy, the last poll at which the requests and
    failed connections that the edge counts for the zone had grown, or the last request that the zone answered or that
    failed, whichever is latest. `fault_ns` is (requested, removed).
    """
    requested, end = fault_ns[0], fault_ns[1] - RETURN_S * SECOND_NS
    hosts = edge.tables["hosts"]
    hosts = hosts[(hosts["cluster"] == "primary") & (hosts["zone"] == zone) & hosts["t_ns"].between(requested, end)]
    polls = hosts.groupby("t_ns")["healthy"].apply(lambda column: bool((column != False).any()))  # noqa: E712 - an unknown state is not "unhealthy"
    stamps, healthy = polls.index.to_numpy(dtype=np.float64), polls.to_numpy(dtype=np.bool_)
    gap_s = float(np.max(np.diff(np.concatenate(([requested], stamps, [max(requested, end)]))))) / SECOND_NS
    if not len(stamps) or not gap_s * 1000 <= POLL_GAPS_MAX * float(edge.facts["poll_interval_ms"]):
        return Detection(None, f"the edge was not polled for {gap_s:.1f} s of the fault")
    last_healthy = stamps[healthy][-1] if healthy.any() else requested
    unhealthy = stamps[stamps > last_healthy]
    sent = hosts[SENT].astype(np.float64).sum(axis=1, skipna=False).groupby(hosts["t_ns"]).agg(_whole_sum).to_numpy()
    if np.isnan(sent).any():
        return Detection(None, f"what the edge sent to {zone} was not counted")
    grown = stamps[1:][np.diff(sent) != 0]  # a count that fell began anew, so it can't show that nothing was sent
    if not len(unhealthy) or stamps[-1] in grown:
        return Detection(None)
    contact = _contacts_ns(rows, zone, timeout_s)
    contact = contact[(contact >= requested) & (rows.intended_ns <= end)]
    return Detection((float(np.max([unhealthy[0], *grown, *contact])) - requested) / SECOND_NS)


def _whole_sum(column: pd.Series[float]) -> float:
    return float(column.sum(skipna=False))


def _contacts_ns(rows: Requests, zone: str, timeout_s: float) -> Reals:
    """Until when each request may have been at `zone`: answered by it, or failed; −inf for those elsewhere."""
    ends = np.where(np.isfinite(rows.done_ns), rows.done_ns, rows.intended_ns + timeout_s * SECOND_NS)
    there = ((rows.zone == zone) | ~rows.answered()) & (rows.status != Status.GENERATOR_LATE)
    return np.where(there, ends, -np.inf)


def switch_s(rows: Requests, switched_ns: float, until_ns: float, version: str, timeout_s: float) -> float | None:
    """Route file replaced → first answer of `version` after which nothing else is answered; None when never.

    Both are taken on `done_ns`, over requests due before `until_ns`. A request that failed is not known to have gone
    to the new version, so it counts as the old one's.
    """
    rows = rows.served()
    ends = np.where(np.isfinite(rows.done_ns), rows.done_ns, rows.intended_ns + timeout_s * SECOND_NS)
    rows, ends = rows.where(mask := (rows.intended_ns < until_ns) & (ends >= switched_ns)), ends[mask]
    new = rows.answered() & (rows.model_version == version) & (rows.intended_ns >= switched_ns)
    old_until = float(np.max([switched_ns, *ends[~new]]))
    firsts = ends[new & (ends > old_until)]
    return (float(firsts.min()) - switched_ns) / SECOND_NS if len(firsts) else None


def zone_share(rows: Requests, zone: str) -> float | None:
    """Share of the requests that `zone` answered well; None without requests."""
    rows = rows.served()
    return float(np.mean(rows.answered() & (rows.zone == zone))) if len(rows) else None
