"""The service comes back from a disaster: in time, with what it had acknowledged, and this was tried not long ago."""

from __future__ import annotations

from harness.checks import unknown
from harness.drill_standing import standing
from harness.model import Case, Check, Gate, Stage
from harness.plan_drills import DEFAULTS


def judge(case: Case) -> tuple[Check, ...]:
    """Every drill that the Plan names, and for stage ga every drill that there is."""
    names = (
        list(DEFAULTS)
        if case.plan.launch.stage is Stage.GA
        else [name for name in DEFAULTS if name in case.plan.drills]
    )
    if not names:
        return (unknown("drills", "the Plan names no drill; add [drills.data_loss] with its rto_s_max and rpo_s_max"),)
    return tuple(check for name in names for check in standing(name, case.plan, case.evidence["drills"]))


GATE = Gate(
    id="disaster_recovery",
    area="Operations",
    title="The service comes back from backups in time",
    failure_title="The service does not come back from a disaster as promised",
    why="A backup that was never restored is a hope; who has lost everything once learns how long it takes.",
    advice="Read the drill's postmortem.md; shorten the interval of backups for RPO, what starts slowly for RTO.",
    requires=("drills",),
    judge=judge,
)
