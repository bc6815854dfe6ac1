"""Whether requests are answered, over all the load of the run except while a fault was played."""

from __future__ import annotations

import numpy as np

from harness.checks import inadmissible, proportion
from harness.fault_windows import outside, spared_windows
from harness.model import Case, Check, Gate
from harness.slices import block_counts, requests
from harness.validity import beyond_promise, failure_budget


def judge(case: Case) -> tuple[Check, ...]:
    """Share of requests without a good answer within the timeout.

    Every scenario counts, warm-up too: whoever comes in the first second is a user. Left out are steps in search of the
    capacity beyond the promised rates, and fault windows, from the fault's request to 5 s after its proven removal.
    """
    slo, beyond = case.plan.slo, beyond_promise(case)
    rows = requests(case.evidence["ledger"])
    windows = spared_windows(case)
    judged = [pair for pair in rows.phases() if pair not in beyond]
    for scenario in sorted({scenario for scenario, _ in judged} | set(case.evidence["ledger"].facts["scenarios"])):
        phases = [phase for name, phase in judged if name == scenario]
        if found := inadmissible("failed", case, rows, scenario, phases, budget=failure_budget(case.plan)):
            return found
    keep = outside(rows.intended_ns, windows) & rows.speak_of_the_service()
    for scenario, phase in beyond:
        keep[rows.place(scenario, [phase])] = False
    bad = np.asarray(rows.response_ms() > slo.timeout_s * 1000)
    what = "requests failed, by schedule and at the client"
    return (proportion("failed", block_counts(rows, bad, keep), failure_budget(case.plan), slo.confidence, what=what),)


GATE = Gate(
    id="availability",
    area="Operations",
    title="Requests are answered",
    failure_title="Too many requests fail",
    why="Each failed request is a user turned away; below this rate the promise is broken on the first day.",
    advice="Look at the ledger's failed rows by status, zone and second and fix the cause; if unknown, test longer.",
    requires=("ledger", "machine", "timeline"),
    judge=judge,
)
