"""Reads from the evidence each run of an experiment, and what it measured of the service.

Rule: pure. A run is one file, run once under a load of its own; what is measured is over the fault's window, from its
request to 5 s after its proven removal, on the ledger, the timeline and the edge's counters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.attempts import WindowAttempts, attempts_within
from harness.budget import budget_share
from harness.extension import STEADY, Extension
from harness.fault_checks import after, at_risk
from harness.plan_experiments import OWN_GATES, ROLLBACK
from harness.recovery import Lost, detection, lost, ttr_s
from harness.slices import SECOND_NS, SETTLE_S, Requests, requests, scenario_facts
from harness.validity import slo_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.fault_windows import Fault
    from harness.model import Case, Evidence


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the Plan's experiment; `extension` is None where not even its file was read."""

    experiment: str
    repeat: int
    scenario: str
    facts: Mapping[str, Any]
    extension: Extension | None

    @property
    def title(self) -> str:
        """What the file calls itself; its name where no journal says."""
        journal = self.facts.get("journal")
        return str(journal["experiment"]["title"]) if journal else self.experiment


def catalogue_runs(evidence: Evidence, name: str | None = None) -> list[Run]:
    """The runs on record of the experiment `name`, or all; raises KeyError, TypeError or ValueError on a broken one."""
    runs = [_run(facts) for facts in evidence.facts["runs"]]
    return [run for run in runs if name is None or run.experiment == name]


def own_run(evidence: Evidence) -> Run:
    """The run of an experiment with an evidence of its own; older ones don't carry what the file says of itself."""
    name, facts = evidence.id, evidence.facts
    if name not in OWN_GATES:
        raise ValueError(f"{name} has no evidence of its own")
    if "extension" in facts:
        return _run(facts)
    subjects = ("candidate",) if name == ROLLBACK else (str(facts["target_zone"]),)
    told = Extension(fault=name, subjects=subjects, load=STEADY, detects=name != ROLLBACK, expectations=(), label="")
    return Run(name, 1, name, facts, told)


def _run(facts: Mapping[str, Any]) -> Run:
    extension = None if "extension" not in facts else Extension.of(facts["extension"])
    return Run(str(facts["experiment"]), int(facts["repeat"]), str(facts["scenario"]), facts, extension)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run cost; `first_attempts` and `ttd_s` are None where they were not measured.

    `other_answers` are good answers of other versions than the one to launch, which are neither lost nor slow.
    """

    lost: Lost
    other_answers: int
    over_slo: int
    budget_burnt: float
    budget_window: float
    ttd_s: float | None
    ttr_s: float | None
    first_attempts: WindowAttempts | None
    capacity_degraded_rps: float | None


def measured(case: Case, run: Run, fault: Fault) -> Measured:
    """The numbers of one run. Needs the ledger; of the edge, what there is."""
    rows = requests(case.evidence["ledger"]).of(run.scenario)
    window = after(rows, *fault.span_ns).served()
    found = lost(at_risk(rows, *fault.span_ns, case.plan.slo.timeout_s))
    bad = found.definite + found.indeterminate
    allowed = found.n * (1 - case.plan.slo.availability)
    return Measured(
        lost=found,
        other_answers=_other_answers(window, case.plan.target.version),
        over_slo=int(np.sum(over_slo(case, window))),
        budget_burnt=budget_share(case.plan, bad),
        budget_window=bad / allowed if allowed else 0.0,
        ttd_s=_ttd_s(case, run, rows, fault),
        ttr_s=ttr_s(rows, fault.requested_ns, fault.in_place_ns, case.plan),
        first_attempts=first_attempts(case, run, fault),
        capacity_degraded_rps=_degraded_rps(case, rows, fault),
    )


def _other_answers(window: Requests, version: str) -> int:
    """Good answers that name another version than the one to launch; where the Plan names none, any is right."""
    return int(np.sum(window.answered() & ~window.model_version.isin(["", version]))) if version else 0


def over_slo(case: Case, rows: Requests) -> Any:
    """Where a request took longer than the limit in force, or got no good answer."""
    return rows.response_ms() > slo_ms(case.plan, rows)


def zones_of(case: Case, run: Run) -> list[str]:
    """The zones among the subjects of a run."""
    subjects = () if run.extension is None else run.extension.subjects
    return [subject for subject in subjects if subject in case.plan.target.zones]


def first_attempts(case: Case, run: Run, fault: Fault) -> WindowAttempts | None:
    """What the edge counted in the fault's window, as long as there was load; None where it was not read."""
    loaded_ns = float(scenario_facts(case.evidence["ledger"], run.scenario)["phases"][-1]["end_ns"])
    span_ns = (fault.requested_ns, min(fault.removed_ns + SETTLE_S * SECOND_NS, loaded_ns))
    try:
        return attempts_within(case.evidence["edge"], case.plan.target.zones, span_ns)
    except (KeyError, ValueError):
        return None


def _ttd_s(case: Case, run: Run, rows: Requests, fault: Fault) -> float | None:
    """The latest detection among the zones that the edge should stop sending to."""
    zones = zones_of(case, run)
    if "edge" not in case.evidence or not zones or run.extension is None or not run.extension.detects:
        return None
    found = [
        detection(case.evidence["edge"], rows, zone, fault.span_ns, case.plan.slo.timeout_s).ttd_s for zone in zones
    ]
    times_s = [item for item in found if item is not None]
    return max(times_s) if len(times_s) == len(found) else None


def _degraded_rps(case: Case, rows: Requests, fault: Fault) -> float | None:
    """Requests answered within the limit in force, a second, of those due while the fault was in place."""
    length_s = (fault.removed_ns - fault.in_place_ns) / SECOND_NS
    if length_s <= 0:
        return None
    due = rows.where((rows.intended_ns >= fault.in_place_ns) & (rows.intended_ns < fault.removed_ns))
    return float(np.sum(~over_slo(case, due))) / length_s
