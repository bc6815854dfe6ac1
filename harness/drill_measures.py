"""Measures a disaster-recovery drill: when the disaster was, what is missing since, what the load is worth.

Rule: pure. Everything is read from the client's ledger, the timeline and the journal's records; a drill's own word
counts for nothing that can be read elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.model import Evidence, Status
from harness.slices import SECOND_NS, Requests, first_event, scenario_facts
from harness.validity import (
    BLAME,
    FOREIGN_CORES_MAX,
    LATENCY_BUDGET,
    UNSENT_SHARE_MAX,
    foreign_cores,
    lag_limit_ms,
    lag_ms_p99,
)

if TYPE_CHECKING:
    import pandas as pd

    from harness.plan_types import Plan

LOADS = {"zone_failure": "zone_crash", "rollback": "rollback"}
"""The scenario under which a drill ran; "drill" for those not named here."""
BASELINE_BAD_MAX = 0.01
BASELINE_ROWS_MIN = 100


@dataclass(frozen=True, slots=True)
class Moments:
    """When the disaster was asked for, when an independent reading saw it, and when one saw it gone.

    Nanoseconds on the drill's clock. What comes back from a backup is gone for good, so that has no `removed_ns`.
    """

    requested_ns: float
    in_place_ns: float
    removed_ns: float | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """Acknowledged requests, those of them that the journal lacks, and how far back the oldest of these lies (s).

    `since` of them were acknowledged after the disaster: no backup explains these.
    """

    acknowledged: int
    missing: int
    since: int
    age_s: float


def load_of(name: str) -> str:
    """The scenario of the drill's load."""
    return LOADS.get(name, "drill")


def moments(name: str, timeline: pd.DataFrame) -> Moments | str:
    """When the disaster of this drill happened, or why that can't be told."""
    if name == "rollback":
        promoted = first_event(timeline, "promoted", "candidate")
        return "the candidate was never promoted" if promoted is None else Moments(promoted, promoted)
    asked = timeline[timeline["event"] == "fault_requested"]
    if asked.empty:
        return "no disaster was made: nothing on the timeline says when it began"
    requested, subject = float(asked["t_ns"].iloc[0]), str(asked["subject"].iloc[0])
    in_place = first_event(timeline, "fault_in_place", subject, requested)
    if in_place is None:
        return "the disaster is not proven: no independent reading saw it in place"
    if name not in LOADS:
        return Moments(requested, in_place)
    removed = first_event(timeline, "fault_removed", subject, in_place)
    return "nothing proves that the zone is whole again" if removed is None else Moments(requested, in_place, removed)


def missing(rows: Requests, drill: Evidence, at: Moments) -> Missing:
    """Which acknowledged requests the journal lacks, by their ids."""
    acknowledged = rows.where(rows.answered() & (rows.status == Status.OK))
    kept = {int(text, 16) for text in drill.tables["records"]["request_id"] if _is_hex(str(text))}
    lacking = acknowledged.where(~np.isin(acknowledged.request_id, np.fromiter(kept, np.uint64, len(kept))))
    before = lacking.done_ns[lacking.done_ns <= at.in_place_ns]
    age_s = float(at.in_place_ns - before.min()) / SECOND_NS if len(before) else 0.0
    return Missing(len(acknowledged), len(lacking), len(lacking) - len(before), age_s)


def _is_hex(text: str) -> bool:
    return len(text) == 16 and all(character in "0123456789abcdef" for character in text)  # noqa: PLR2004 - a u64


def baseline(rows: Requests, at: Moments) -> str:
    """Why the service was not well before the disaster, so that nothing was tested; empty when it was."""
    earlier = rows.where(rows.intended_ns < at.requested_ns - SECOND_NS).served()
    if len(earlier) < BASELINE_ROWS_MIN:
        return f"only {len(earlier)} requests were due before the disaster; {BASELINE_ROWS_MIN} are needed"
    bad = int(np.sum(~earlier.answered()))
    if bad > BASELINE_BAD_MAX * len(earlier):
        return f"baseline not met: {bad} of {len(earlier)} requests failed before the disaster"
    return ""


def watched(rows: Requests, timeline: pd.DataFrame, scenario: str) -> Requests:
    """The rows that speak of what callers met: where a load was stopped before its end, those due before that."""
    stopped_ns = first_event(timeline, "load_stopped", scenario)
    return rows if stopped_ns is None else rows.where(rows.intended_ns < stopped_ns)


def other_rate(plan: Plan, ledger: Evidence, scenario: str) -> str:
    """Why the load was not the one that the Plan promises to carry now; empty when it was."""
    rates = sorted({float(phase["rate_rps"]) for phase in scenario_facts(ledger, scenario)["phases"]})
    if rates and all(math.isclose(rate, plan.traffic.launch_rps) for rate in rates):
        return ""
    told = ", ".join(f"{rate:g}" for rate in rates) or "no"
    return f"it was held under {told} req/s; the Plan wants {plan.traffic.launch_rps:g}"


def incomplete(ledger: Evidence, rows: Requests, seen: Requests, scenario: str) -> str:
    """Why the load can't say what callers met; empty when it can. `seen` are those of its rows that were watched."""
    facts = scenario_facts(ledger, scenario)
    unsent = int(np.sum(seen.status == Status.GENERATOR_LATE))
    if facts["finished"] is not True and len(seen) == len(rows):
        return f"{BLAME}: the load did not run to its end"
    if facts["workers_lost"] != 0 or facts["gaps"] or facts["scheduled"] != len(rows):
        return f"{BLAME}: workers were lost, or the ledger has gaps"
    if unsent > UNSENT_SHARE_MAX * LATENCY_BUDGET * len(seen):
        return f"{BLAME}: {unsent} of {len(seen)} requests were never sent"
    return ""


def excuse(plan: Plan, rows: Requests, machine: Evidence) -> str:
    """Why a recovery that took too long may not be the service's doing; empty if it is."""
    lag_ms, cores = lag_ms_p99(rows), foreign_cores(machine, rows)
    if lag_ms is None or lag_ms > lag_limit_ms(plan, "drill"):
        return f"the generator sent {lag_ms or 0:.1f} ms late at p99"
    if cores is None or cores > FOREIGN_CORES_MAX:
        return f"the machine was busy with other work ({cores or 0:.2f} cores)"
    return ""
