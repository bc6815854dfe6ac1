"""Computes the series that charts need, to be stored in the verdict so that rendering needs nothing else.

Rule: pure; plain lists of rounded numbers, None where there is nothing; times in seconds since the run's start.
"""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.capacity import chart_series, measured
from harness.model import Case, Status
from harness.slices import SECOND_NS, Requests, events, requests, scenario_facts
from harness.stats import Reals, quantile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model import Evidence
    from harness.plan_types import Plan

BIN_S = 0.5
WIDE_BIN_S = 1.0
BINS_MAX = 600
"""A run of more bins than this gets bins of 1 s: more points can't be told apart on a page."""
EDGES_MS = [round(10 ** (exponent / 10), 3) for exponent in range(-5, 36)]
"""Ten bins a decade, from 0.3 ms to 3.2 s."""
_ENDS = {"fault_requested": "fault_removed", "promoted": "rolled_back"}
"""What ends each stretch in which the run broke or switched something."""


def series(evidence: Mapping[str, Evidence], plan: Plan) -> dict[str, Any]:
    """Every series that the ledger and the timeline allow; what one of them lacks is left out."""
    ledger, timeline = evidence.get("ledger"), evidence.get("timeline")
    drawn: dict[str, Any] = {}
    if ledger is not None and ledger.error is None and len(rows := requests(ledger)):
        drawn |= _bins(rows) | {"phases": _phases(rows, ledger), "distribution": _distribution(rows)}
        slo_ms = dict.fromkeys(_scenarios(rows), plan.slo.latency_ms_p99)
        drawn["slo_ms"] = slo_ms | ({"spike": plan.slo.spike_latency_ms_p99} if "spike" in slo_ms else {})
        drawn |= _capacity(evidence, plan)
    if timeline is not None and timeline.error is None:
        drawn["faults"] = _stretches(timeline)
    return drawn


def _scenarios(rows: Requests) -> list[str]:
    return sorted({scenario for scenario, _ in rows.phases()})


def _capacity(evidence: Mapping[str, Evidence], plan: Plan) -> dict[str, Any]:
    """The capacity's chart, left out where the gate has nothing to judge either; it says why."""
    try:
        return {"capacity": chart_series(measured(Case(plan, evidence)), plan)}
    except Exception:  # noqa: BLE001 - whatever is wrong with a search costs only its own chart
        return {}


def _phases(rows: Requests, ledger: Evidence) -> list[dict[str, Any]]:
    found = []
    for scenario, phase in rows.phases():
        intended = rows.of(scenario, phase).intended_ns
        scheduled = {step["name"]: step["rate_rps"] for step in scenario_facts(ledger, scenario)["phases"]}
        span = {"start_s": _seconds(intended.min()), "end_s": _seconds(intended.max())}
        found.append({"scenario": scenario, "phase": phase, "rate_rps": float(scheduled[phase]), **span})
    return sorted(found, key=lambda item: (item["start_s"], item["scenario"], item["phase"]))


def _bins(rows: Requests) -> dict[str, Any]:
    """Throughput, response time and zones in bins of equal width, by when each request was due."""
    start, end = float(rows.intended_ns.min()), float(rows.intended_ns.max())
    bin_s = BIN_S if (end - start) / SECOND_NS <= BIN_S * BINS_MAX else WIDE_BIN_S
    first = math.floor(start / SECOND_NS / bin_s)
    index = rows.intended_ns.astype(np.int64)
    index //= round(bin_s * SECOND_NS)
    index = (index - first).astype(np.int32)
    count, good = int(index.max()) + 1, rows.answered()
    failed = ~good & (rows.status != Status.GENERATOR_LATE)
    zones = sorted(set(rows.zone[good].unique()) - {""})
    return {
        "bin_s": bin_s,
        "t_s": [round((first + place) * bin_s, 3) for place in range(count)],
        "ok_rps": _rates(index[good], count, bin_s),
        "failed_rps": _rates(index[failed], count, bin_s),
        "zones": {zone: _rates(index[good & (rows.zone == zone)], count, bin_s) for zone in zones},
        **_times(rows.response_ms()[good], index[good], count),
    }


def _times(values: Reals, index: Any, count: int) -> dict[str, list[float | None]]:
    """p50, p99 and the longest of the `values` in each bin."""
    if np.any(index[1:] < index[:-1]):
        order = np.argsort(index, kind="stable")
        values, index = values[order], index[order]
    edges = np.searchsorted(index, np.arange(count + 1))
    parts = [np.sort(values[low:high]) for low, high in pairwise(edges)]
    shares = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}
    return {name: [_rounded(part, share) for part in parts] for name, share in shares.items()}


def _rounded(values: Reals, share: float) -> float | None:
    return round(quantile(values, share), 3) if len(values) else None


def _rates(index: Any, count: int, bin_s: float) -> list[float]:
    return [round(float(n) / bin_s, 3) for n in np.bincount(index, minlength=count)]


def _distribution(rows: Requests) -> dict[str, Any]:
    """Response times of each scenario's good answers in log-spaced bins, the outermost of which take what is beyond."""
    found = {}
    for scenario in _scenarios(rows):
        picked = rows.of(scenario)
        times_ms = picked.response_ms()[picked.answered()]
        counts, _ = np.histogram(np.clip(times_ms, EDGES_MS[0], EDGES_MS[-1]), bins=EDGES_MS)
        found[scenario] = {"edges_ms": list(EDGES_MS), "counts": [int(count) for count in counts]}
    return found


def _stretches(timeline: Evidence) -> list[dict[str, Any]]:
    """Each fault and promotion with its end; an end of None was never seen."""
    found: list[dict[str, Any]] = []
    details = timeline.tables["events"]["detail"]
    for place, t_ns, event, subject in events(timeline).itertuples():
        if event in _ENDS:
            kind = str(json.loads(details[place])["fault"]) if event == "fault_requested" else str(event)
            found.append({"kind": kind, "subject": str(subject), "start_s": _seconds(t_ns), "end_s": None})
        for begun in found:
            ends = _ENDS["promoted" if begun["kind"] == "promoted" else "fault_requested"]
            same = begun["subject"] == subject or event == "rolled_back"
            if event == ends and same and begun["end_s"] is None:
                begun["end_s"] = _seconds(t_ns)
    return found


def _seconds(t_ns: float) -> float:
    return round(float(t_ns) / SECOND_NS, 3)
