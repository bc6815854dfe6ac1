"""Computes what the report shows of each experiment: its numbers, and its load second by second.

Rule: pure; plain, rounded values, None where there is nothing; times in seconds since the start of that experiment's
load. A number that can't be computed costs only itself or its experiment's, never another's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.experiment_checks import run_checks
from harness.experiment_runs import Run, catalogue_runs, measured, own_run
from harness.fault_windows import Fault, fault_of
from harness.model import Case, Outcome, worst
from harness.plan_experiments import OWN_GATES, ROLLBACK, ZONE_CRASH
from harness.slices import SECOND_NS, Requests, events, first_event, requests, scenario_facts
from harness.stats import quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.model import Check, Result

GATES = {ZONE_CRASH: "zone_failure", ROLLBACK: "rollback"}
_UNMEASURED: dict[str, Any] = dict.fromkeys(
    (
        "offered_rps",
        "n",
        "ttd_s",
        "ttr_s",
        "lost",
        "other_answers",
        "over_slo",
        "budget_burnt",
        "budget_window",
        "first_attempt_errors",
        "retry_amplification",
        "capacity_degraded_rps",
        "seconds",
    )
)


def experiment_series(case: Case, results: Sequence[Result]) -> list[dict[str, Any]]:
    """Every run on record, those with a gate of their own first; `case` is all evidence of the run."""
    usable = {name: item for name, item in case.evidence.items() if item.error is None}
    case = Case(case.plan, usable)
    return [_entry(case, run, results) for run in _runs(case)]


def _runs(case: Case) -> list[Run]:
    found = [own_run(case.evidence[name]) for name in OWN_GATES if name in case.evidence]
    return [*found, *(catalogue_runs(case.evidence["experiments"]) if "experiments" in case.evidence else [])]


def _entry(case: Case, run: Run, results: Sequence[Result]) -> dict[str, Any]:
    told = run.extension
    outcome, reason = _judged(case, run, results)
    entry = {
        "name": run.experiment,
        "scenario": run.scenario,
        "repeat": run.repeat,
        "title": run.title,
        "label": "" if told is None else told.label,
        "subjects": [] if told is None else list(told.subjects),
        "load": "" if told is None else told.load,
        "outcome": outcome,
        "reason": reason,
        "fault": dict.fromkeys(("requested_s", "in_place_s", "removed_s")),
        **_UNMEASURED,
    }
    return entry | _or_nothing(_offered, case, run) | _or_nothing(_cost, case, run)


def _or_nothing(part: Callable[[Case, Run], dict[str, Any]], case: Case, run: Run) -> dict[str, Any]:
    try:
        return part(case, run)
    except Exception:  # noqa: BLE001 - what is wrong with its evidence is in its reason, or costs a chart
        return {}


def _judged(case: Case, run: Run, results: Sequence[Result]) -> tuple[str, str]:
    """Outcome and reason of this run alone; of one with a gate of its own, that gate's."""
    if run.experiment in GATES:
        mine = [result for result in results if result.gate == GATES[run.experiment]]
        return (mine[0].outcome, mine[0].reason) if mine else (Outcome.UNKNOWN, "not judged")
    checks: Iterable[Check] = run_checks(case, run)
    outcome = worst(tuple(check.outcome for check in checks))
    return outcome, next(check.reason for check in checks if check.outcome is outcome)


def _offered(case: Case, run: Run) -> dict[str, Any]:
    """The load and its answers, whatever became of the fault."""
    phases = scenario_facts(case.evidence["ledger"], run.scenario)["phases"]
    rows = requests(case.evidence["ledger"]).of(run.scenario)
    offered_rps = max(float(phase["rate_rps"]) for phase in phases)
    return {"offered_rps": offered_rps, "n": len(rows), "seconds": _seconds(rows, float(phases[0]["start_ns"]))}


def _cost(case: Case, run: Run) -> dict[str, Any]:
    """What the fault cost; nothing where the timeline has no whole fault."""
    fault = _fault(case, run)
    if fault is None:
        return {}
    start_ns = float(scenario_facts(case.evidence["ledger"], run.scenario)["phases"][0]["start_ns"])
    switched, found = run.experiment == ROLLBACK, measured(case, run, fault)
    tried = found.first_attempts
    return {
        "fault": {
            "requested_s": _since(fault.requested_ns, start_ns),
            "in_place_s": None if switched else _since(fault.in_place_ns, start_ns),
            "removed_s": _since(fault.removed_ns, start_ns),
        },
        "ttd_s": _rounded(found.ttd_s),
        "ttr_s": None if switched else _rounded(found.ttr_s),
        "lost": [found.lost.definite, found.lost.definite + found.lost.indeterminate],
        "other_answers": None if switched else found.other_answers,
        "over_slo": found.over_slo,
        "budget_burnt": round(found.budget_burnt, 9),
        "budget_window": round(found.budget_window, 6),
        "first_attempt_errors": None if tried is None else int(tried.errors),
        "retry_amplification": None if tried is None else _rounded(tried.amplification),
        "capacity_degraded_rps": _rounded(found.capacity_degraded_rps),
    }


def _fault(case: Case, run: Run) -> Fault | None:
    """The fault of a run; of the switch of versions, the time that the candidate had all traffic."""
    table = events(case.evidence["timeline"])
    if run.experiment == ROLLBACK:
        promoted = first_event(table, "promoted", "candidate")
        back = None if promoted is None else first_event(table, "rolled_back", "primary", promoted)
        return None if promoted is None or back is None else Fault(promoted, promoted, back)
    fault = None if run.extension is None else fault_of(table, run.scenario, run.extension.subjects)
    return None if isinstance(fault, str) else fault


def _seconds(rows: Requests, start_ns: float) -> dict[str, Any]:
    """Response times of good answers, the share of requests well answered, and answers a second by zone."""
    second = ((rows.intended_ns - start_ns) // SECOND_NS).astype(np.int64)
    count, good, times_ms = int(second.max(initial=-1)) + 1, rows.answered(), rows.response_ms()
    parts = [np.flatnonzero(second == place) for place in range(count)]
    answered = [np.sort(times_ms[part][good[part]]) for part in parts]
    zones = sorted(set(rows.zone[good].unique()) - {""})
    return {
        "t_s": list(range(count)),
        "p50_ms": [_quantile(values, 0.5) for values in answered],
        "p99_ms": [_quantile(values, 0.99) for values in answered],
        "ok_ratio": [round(float(np.mean(good[part])), 6) if len(part) else None for part in parts],
        "zones": {
            zone: np.bincount(second[good & (rows.zone == zone)], minlength=count).astype(int).tolist()
            for zone in zones
        },
    }


def _quantile(values: Any, share: float) -> float | None:
    return round(quantile(values, share), 3) if len(values) else None


def _since(t_ns: float, start_ns: float) -> float:
    return round((t_ns - start_ns) / SECOND_NS, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 3)
