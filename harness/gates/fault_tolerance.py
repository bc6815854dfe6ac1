"""Each experiment of the catalogue that the Plan names: done as its file says, at no more cost than the Plan allows."""

from __future__ import annotations

from harness.checks import unknown
from harness.experiment_checks import experiment_checks
from harness.model import Case, Check, Gate


def judge(case: Case) -> tuple[Check, ...]:
    """For each experiment: on record as done, what the fault cost over all its runs, and what else its file expects."""
    if not case.plan.catalogue:
        return (unknown("experiments", "the Plan names no experiment of the catalogue"),)
    return tuple(check for name in case.plan.catalogue for check in experiment_checks(case, name))


GATE = Gate(
    id="fault_tolerance",
    area="Testing",
    title="What breaks on purpose costs no more than promised",
    failure_title="Some faults cost more than promised",
    why="Each of these faults comes one day; what it costs users is decided by what was tried before the launch.",
    advice="Find the experiment in the charts, look at its seconds around the fault, and repeat it with chaos run.",
    requires=("ledger", "machine", "timeline", "edge", "experiments"),
    judge=judge,
)
