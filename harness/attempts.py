"""Counts first attempts, and those that went wrong, from what the edge read of itself: second by second, per cluster.

Rule: pure. The edge's readings are cumulative, so what was not read is never left out between two readings; where it
can't be told whether an attempt went wrong once or twice, or within a spared stretch or before it, it counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.fault_windows import outside, spared_windows
from harness.slices import SECOND_NS, largest_gap_s
from harness.validity import beyond_promise

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.model import Case, Evidence
    from harness.stats import Counts, Reals

COUNTERS = ["upstream_rq_total", "upstream_rq_retry", "upstream_rq_retry_overflow"]
ERRORS = ["rq_error", "cx_connect_fail"]
GAP_S_MAX = 1.0
"""Load is judged in blocks of a second: a longer time between two readings hides in which of them something failed."""
OVERHANG_S = 0.25
"""Growth between two readings is spared with the stretch that it reaches into when it begins no earlier than this
before it, and ends no later than this after: five readings."""

Spans = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Readings:
    """Cumulative readings in order of time: one row of `values` for each stamp."""

    stamps_ns: Reals
    values: Reals

    def growth(self, span_ns: tuple[float, float]) -> Reals | None:
        """By how much in all from the last reading before a span to the first after it; None when it was not watched.

        An edge that began anew meanwhile counts from 0: what it had counted before its end, unread, is lost.
        """
        first = int(np.searchsorted(self.stamps_ns, span_ns[0], side="right")) - 1
        last = int(np.searchsorted(self.stamps_ns, span_ns[1], side="left"))
        if first < 0 or last >= len(self.stamps_ns):
            return None
        values = self.values[first : last + 1]
        steps = np.where(np.diff(values, axis=0) < 0, values[1:], np.diff(values, axis=0))
        edges_s = (span_ns[0] - self.stamps_ns[first], self.stamps_ns[last] - span_ns[1])
        return None if max(edges_s) > GAP_S_MAX * SECOND_NS or np.isnan(steps).any() else steps.sum(axis=0)

    def unread_s(self, span_ns: tuple[float, float], spared: Spans) -> float:
        """For how long the load was not watched; 0 when it was read before, after and at least once a second.

        Within a spared stretch it need not be: whatever grew there is not judged.
        """
        start, end = span_ns
        gap_s = largest_gap_s(np.concatenate([self.stamps_ns, self._watched_for_nothing(spared)]), start, end)
        whole = len(self.stamps_ns) > 1 and self.stamps_ns[0] <= start and self.stamps_ns[-1] >= end
        return 0.0 if whole and gap_s <= GAP_S_MAX else gap_s

    def _watched_for_nothing(self, spared: Spans) -> Reals:
        """Stamps that fill each gap which lies between two readings of one spared stretch."""
        filled = [np.zeros(0)]
        for start, end in spared:
            within = self.stamps_ns[(self.stamps_ns >= start) & (self.stamps_ns <= end)]
            if len(within):
                filled.append(np.arange(within[0], within[-1], GAP_S_MAX * SECOND_NS / 2))
        return np.concatenate(filled)

    def grown(self, spared: Spans) -> Reals:
        """By how much from each reading to the next; raises ValueError when a reading is missing or below the last.

        An edge may begin anew, from 0, when it is restarted on purpose: between two readings of one spared stretch.
        """
        grown, starts, ends = np.diff(self.values, axis=0), self.stamps_ns[:-1], self.stamps_ns[1:]
        broken_in = np.zeros(len(grown), dtype=np.bool_)
        for start, end in spared:
            broken_in |= (starts >= start) & (ends <= end)
        grown = np.where((grown < 0) & broken_in[:, np.newaxis], self.values[1:], grown)
        if not np.all(grown >= 0):
            raise ValueError("the edge's counters ran backwards or are missing")
        return grown

    def per_second(self, zero_ns: float, seconds: int, spared: Spans) -> Counts:
        """Growth outside the spared stretches: a column for each second from `zero_ns`, a row for each value."""
        starts, ends = self.stamps_ns[:-1], self.stamps_ns[1:]
        counts = np.ones(len(starts), dtype=np.bool_)
        slack = OVERHANG_S * SECOND_NS
        for start, end in spared:
            counts &= (ends < start) | (starts > end) | (starts < start - slack) | (ends > end + slack)
        places = ((ends - zero_ns) // SECOND_NS).astype(np.int64)[counts]
        columns = (np.bincount(places, column, minlength=seconds) for column in self.grown(spared)[counts].T)
        return np.array([*columns], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts at one cluster: `over` of `first` went wrong, in each second that is judged."""

    over: Counts
    first: Counts
    refused: int
    retries_in_all: float
    first_in_all: float

    @property
    def retry_ratio(self) -> float:
        """Retries / first attempts, over everything; infinite when there was no first attempt."""
        return self.retries_in_all / self.first_in_all if self.first_in_all > 0 else math.inf


def attempts(counters: Readings, hosts: Readings, spared: Spans) -> Attempts:
    """What `counters` and `hosts` say together. A retry and an error of a host tell of the same first attempt."""
    zero_ns = min(counters.stamps_ns[0], hosts.stamps_ns[0])
    seconds = int((max(counters.stamps_ns[-1], hosts.stamps_ns[-1]) - zero_ns) // SECOND_NS) + 1
    total, retries, refused = counters.per_second(zero_ns, seconds, spared)
    over = np.maximum(hosts.per_second(zero_ns, seconds, spared)[0], retries + refused)
    whole = counters.grown(spared).sum(axis=0)
    return Attempts(
        over=over,
        first=np.maximum(total - retries, over),
        refused=int(refused.sum()),
        retries_in_all=float(whole[1]),
        first_in_all=float(whole[0] - whole[1]),
    )


@dataclass(frozen=True, slots=True)
class WindowAttempts:
    """What the edge counted over a fault's window: attempts, first ones, and those of them that went wrong."""

    attempts: float
    first: float
    errors: float

    @property
    def amplification(self) -> float:
        """Attempts / requests; infinite when none was a first attempt."""
        return self.attempts / self.first if self.first > 0 else math.inf


def attempts_within(edge: Evidence, zones: Sequence[str], span_ns: tuple[float, float]) -> WindowAttempts | None:
    """Attempts at the zones within `span_ns`; None when the edge was not read around or within it."""
    counters = counter_readings(edge, "primary").growth(span_ns)
    hosts = host_readings(edge, "primary", zones, [span_ns]).growth(span_ns)
    if counters is None or hosts is None:
        return None
    total, retries, refused = (float(value) for value in counters)
    return WindowAttempts(total, total - retries, max(float(hosts[0]), retries + refused))


def counter_readings(edge: Evidence, cluster: str) -> Readings:
    """The cluster's COUNTERS."""
    table = edge.tables["counters"]
    table = table[table["cluster"] == cluster].sort_values("t_ns", kind="stable")
    return Readings(table["t_ns"].to_numpy(dtype=np.float64), table[COUNTERS].to_numpy(dtype=np.float64))


def host_readings(edge: Evidence, cluster: str, zones: Sequence[str], spared: Spans) -> Readings:
    """Errors of all the cluster's hosts together; raises ValueError unless every reading has all hosts, in `zones`.

    An edge that is being restarted does not know its hosts at once: such readings of a spared stretch are left out.
    """
    table = edge.tables["hosts"]
    table = _known(table[table["cluster"] == cluster], spared)
    values = table[ERRORS].astype(np.float64).sum(axis=1, skipna=False)
    polls = values.groupby(table["t_ns"], sort=True)
    per_poll = table.groupby("t_ns")["zone"].agg(["size", "nunique"])
    if not set(zones) <= set(table["zone"]) or (per_poll.min() != per_poll.max()).any():
        raise ValueError(f"the edge's readings of {cluster} lack some of its hosts")
    sums = polls.sum().mask(values.isna().groupby(table["t_ns"]).any())  # a host unread makes the whole reading unread
    return Readings(sums.index.to_numpy(dtype=np.float64), sums.to_numpy(dtype=np.float64).reshape(-1, 1))


def _known(hosts: pd.DataFrame, spared: Spans) -> pd.DataFrame:
    """The readings but those of spared stretches that have fewer hosts than others."""
    sizes, stamps = hosts.groupby("t_ns")["zone"].transform("size"), hosts["t_ns"].to_numpy(dtype=np.float64)
    return hosts[~np.asarray(sizes < sizes.max()) | outside(stamps, spared)]


def spared_ns(case: Case) -> Spans:
    """Faults until they settled, and steps of a search for capacity beyond the promise until what they sent is over."""
    scenarios, beyond = case.evidence["ledger"].facts["scenarios"], beyond_promise(case)
    starts = [float(phase["start_ns"]) for facts in scenarios.values() for phase in facts["phases"]]
    spared = spared_windows(case)
    for scenario, name in sorted(beyond):
        for phase in (phase for phase in scenarios[scenario]["phases"] if phase["name"] == name):
            end = float(phase["end_ns"])
            over = min([end + case.plan.slo.timeout_s * SECOND_NS, *(start for start in starts if start >= end)])
            spared.append((float(phase["start_ns"]), over))
    return spared
