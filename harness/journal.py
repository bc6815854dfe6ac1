"""Reads the journal of a Chaos Toolkit experiment for what its exit code does not tell.

Rule: pure. `chaos run` ends with 0 though the baseline was never met, the fault raised or the rollback raised; an
experiment carries a claim only when each of its parts is on record as done, and when it is the one
that the Plan names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.model import Case, Evidence

Journal = Mapping[str, Any]


def objections(case: Case, name: str) -> tuple[str, ...]:
    """Why the experiment `name` of the Plan can't carry a claim, each reason its own; empty when it can."""
    evidence = case.evidence[name]
    journal: Journal = evidence.facts["journal"]
    found = [*_identity(case, name), *_baseline(journal), *_method(journal), *_rollbacks(journal)]
    if deviated(evidence):  # that is the subject's, and ends the experiment as failed too
        return tuple(found)
    if journal["status"] != "completed":
        found.append(f"the experiment ended as {journal['status']!r}, not as completed")
    if evidence.facts["exit_code"] != 0:
        found.append(f"the experiment's exit code was {evidence.facts['exit_code']}")
    return tuple(found)


def deviated(evidence: Evidence) -> bool:
    """Whether the steady state was gone at the end; so it counts unless the journal says otherwise."""
    journal: Journal = evidence.facts["journal"]
    return journal["deviated"] is not False or not _met(journal, "after")


def _identity(case: Case, name: str) -> list[str]:
    """Whether the record is of this experiment, and from the Plan's file where the Plan names one."""
    facts, planned, found = case.evidence[name].facts, case.plan.experiments.get(name), []
    if facts["experiment"] != name:
        found.append(f"another experiment: the record is of {facts['experiment']!r}, not of {name!r}")
    if planned is not None and facts["file"] != planned.file:
        found.append(f"another experiment: {facts['file']} was run; the Plan names {planned.file}")
    if not facts["journal"]["experiment"]["title"]:
        found.append("the journal names no experiment")
    return found


def _baseline(journal: Journal) -> list[str]:
    return [] if _met(journal, "before") else ["baseline not met: the steady state was not there before the fault"]


def _method(journal: Journal) -> list[str]:
    planned, run = journal["experiment"]["method"], journal["run"]
    if not run:
        return ["skipped: no activity of the experiment was run"]
    if len(run) < len(planned):
        return [f"skipped: only {len(run)} of {len(planned)} activities were run"]
    return [f"activity failed: {_name(entry)}" for entry in _failures(run)]


def _rollbacks(journal: Journal) -> list[str]:
    planned, run = journal["experiment"]["rollbacks"], journal["rollbacks"]
    if not planned or len(run) < len(planned):
        return [f"rollback not played: {len(run)} of {len(planned)} steps that heal were run"]
    return [f"rollback failed: {_name(entry)}" for entry in _failures(run)]


def _met(journal: Journal, moment: str) -> bool:
    state = journal["steady_states"][moment]
    return state is not None and state["steady_state_met"] is True


def _failures(run: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Activities that failed, and probes that read "no": outside a hypothesis the tool judges no tolerance."""
    return [entry for entry in run if entry.get("status") != "succeeded" or _reads_no(entry)]


def _reads_no(entry: Mapping[str, Any]) -> bool:
    return entry["activity"].get("tolerance") is True and entry.get("output") is not True


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["activity"].get("name", "unnamed"))
