"""What first attempts met behind the edge, where retries hide it from clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.checks import limited, proportion, unknown
from harness.model import Case, Check, Gate
from harness.slices import SECOND_NS, events, fault_windows

if TYPE_CHECKING:
    import pandas as pd

COUNTERS = ["upstream_rq_total", "upstream_rq_retry", "upstream_rq_retry_overflow"]


def judge(case: Case) -> tuple[Check, ...]:
    """Retries / first attempts, and retries refused for want of budget, per cluster and outside fault windows."""
    table = case.evidence["edge"].tables["counters"]
    windows = fault_windows(events(case.evidence["timeline"]))
    clusters = ["primary", "candidate"] if case.plan.target.candidate else ["primary"]
    return tuple(check for name in clusters for check in _cluster(case, name, table[table["cluster"] == name], windows))


def _cluster(case: Case, name: str, polls: pd.DataFrame, windows: list[tuple[float, float]]) -> tuple[Check, ...]:
    polls = polls.sort_values("t_ns", kind="stable")
    if len(polls) < 2:  # noqa: PLR2004 - an increment needs two readings
        return (unknown(f"{name}_retries", f"the edge's counters of {name} were not read twice"),)
    stamps, grown = polls["t_ns"].to_numpy(dtype=np.float64), np.diff(polls[COUNTERS].to_numpy(np.float64), axis=0)
    if not np.all(grown >= 0):
        raise ValueError(f"the edge's counters of {name} ran backwards or are missing")
    calm = np.ones(len(grown), dtype=np.bool_)
    for start, end in windows:
        calm &= (stamps[1:] < start) | (stamps[:-1] > end)
    seconds = ((stamps[1:] - stamps[0]) // SECOND_NS).astype(np.int64)[calm]
    total, retries, refused = (np.bincount(seconds, column).astype(np.int64) for column in grown[calm].T)
    first = np.maximum(total - retries, 0)
    slo = case.plan.slo
    blocks = np.minimum(retries + refused, first), first
    what = f"first attempts at {name} failed"
    ratio = proportion(f"{name}_retries", blocks, slo.first_attempt_failure_ratio_max, slo.confidence, what=what)
    lack = f"{refused.sum()} retries at {name} refused because the retry budget was spent; none may be"
    return (ratio, limited(f"{name}_refused", float(refused.sum()), 0, "retries", reason=lack))


GATE = Gate(
    id="first_attempts",
    area="Operations",
    title="Requests succeed at the first attempt",
    failure_title="Retries hide failures",
    why="Retries make one failure in a hundred invisible to clients, until load doubles and they cause an outage.",
    advice="Find which zone fails first attempts in the edge's counters, and fix that before adding retries.",
    requires=("edge", "timeline"),
    judge=judge,
)
