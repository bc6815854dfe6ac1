"""Reads the journal of a Chaos Toolkit experiment for what its exit code does not tell.

Rule: pure. `chaos run` ends with 0 though the baseline was never met, the fault raised or the rollback raised; an
experiment carries a claim only when each of its parts is on record as done, and when it is the one
that the Plan names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.plan_types import Plan

Journal = Mapping[str, Any]
Facts = Mapping[str, Any]
"""What the evidence says of one run: its names, how it ended, and its journal."""
NONE: Collection[str] = ()
SAFEGUARD = "safeguard"
"""Who ended an experiment whose load had failed more requests than it might."""
BUDGET_SPENT = "the error budget was spent, so the experiment was ended early"


def objections(plan: Plan, facts: Facts, name: str, expectations: Collection[str] = NONE) -> tuple[str, ...]:
    """Why `facts` are no proof of the Plan's experiment `name`, each reason its own; empty when they are.

    A probe among `expectations` that reads "no" is no objection: that is the service's answer, and is judged.
    """
    if facts["journal"] is None:
        return (str(facts["error"]) or "no journal",)
    journal: Journal = facts["journal"]
    found = [*_identity(plan, facts, name), *_baseline(journal), *_method(journal, expectations), *_rollbacks(journal)]
    if left := facts.get("open_faults"):
        found.append(f"rollback failed: {', '.join(left)} still open when it had ended{_healed(facts)}")
    if journal["status"] == "interrupted":
        return (_interrupted(facts), *found)
    if deviated(facts):  # that is the subject's, and ends the experiment as failed too
        return tuple(found)
    if journal["status"] != "completed":
        found.append(f"the experiment ended as {journal['status']!r}, not as completed")
    if facts["exit_code"] != 0:
        found.append(f"the experiment's exit code was {facts['exit_code']}")
    return tuple(found)


def deviated(facts: Facts) -> bool:
    """Whether the steady state was gone at the end; so it counts unless the journal says otherwise."""
    journal: Journal = facts["journal"]
    return journal["deviated"] is not False or not _met(journal, "after")


def readings(facts: Facts, probe: str) -> list[bool]:
    """What the method's probe of that name read, each time that it was run and did not fail: as expected, or not.

    One without a tolerance has nothing to be measured by, so it reads nothing.
    """
    run = [entry for entry in facts["journal"]["run"] if _name(entry) == probe and "tolerance" in entry["activity"]]
    return [not _reads_no(entry) for entry in run if entry.get("status") == "succeeded"]


def _identity(plan: Plan, facts: Facts, name: str) -> list[str]:
    """Whether the record is of this experiment, and from the Plan's file where the Plan names one."""
    planned, found = plan.experiments.get(name), []
    if facts["experiment"] != name:
        found.append(f"another experiment: the record is of {facts['experiment']!r}, not of {name!r}")
    if planned is not None and facts["file"] != planned.file_of(name):
        found.append(f"another experiment: {facts['file']} was run; the Plan names {planned.file_of(name)}")
    if not facts["journal"]["experiment"]["title"]:
        found.append("the journal names no experiment")
    return found


def _baseline(journal: Journal) -> list[str]:
    return [] if _met(journal, "before") else ["baseline not met: the steady state was not there before the fault"]


def _method(journal: Journal, expectations: Collection[str]) -> list[str]:
    planned, run = journal["experiment"]["method"], journal["run"]
    if not run:
        return ["skipped: no activity of the experiment was run"]
    failed = [f"activity failed: {_name(entry)}" for entry in _failures(run, expectations)]
    if len(run) < len(planned):
        return [*failed, f"skipped: only {len(run)} of {len(planned)} activities were run"]
    return failed


def _rollbacks(journal: Journal) -> list[str]:
    planned, run = journal["experiment"]["rollbacks"], journal["rollbacks"]
    if not planned or len(run) < len(planned):
        return [f"rollback not played: {len(run)} of {len(planned)} steps that heal were run"]
    return [f"rollback failed: {_name(entry)}" for entry in _failures(run)]


def _interrupted(facts: Facts) -> str:
    by = facts.get("ended_by", "itself")
    return f"interrupted: ended by {'a signal' if by == 'itself' else f'its {by}'}, before it was through"


def _healed(facts: Facts) -> str:
    return "; it was healed after that" if facts.get("healed") else ", and it could not be healed"


def _met(journal: Journal, moment: str) -> bool:
    state = journal["steady_states"][moment]
    return state is not None and state["steady_state_met"] is True


def _failures(run: Sequence[Mapping[str, Any]], expectations: Collection[str] = NONE) -> list[Mapping[str, Any]]:
    """Activities that failed, and probes that read "no": outside a hypothesis the tool judges no tolerance."""
    return [
        entry
        for entry in run
        if entry.get("status") != "succeeded" or (_reads_no(entry) and _name(entry) not in expectations)
    ]


def _reads_no(entry: Mapping[str, Any]) -> bool:
    """Whether a probe read something else than its tolerance, a plain value; without one it says nothing."""
    if "tolerance" not in entry["activity"]:
        return False
    wanted, output = entry["activity"]["tolerance"], entry.get("output")
    return type(output) is not type(wanted) or output != wanted


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["activity"].get("name", "unnamed"))
