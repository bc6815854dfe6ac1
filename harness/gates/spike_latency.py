"""Response time while traffic is at its expected peak."""

from __future__ import annotations

from harness.checks import inadmissible, latency
from harness.model import Case, Check, Gate
from harness.slices import requests


def judge(case: Case) -> tuple[Check, ...]:
    """p99 of response time over the phase spike/peak."""
    rows = requests(case.evidence["ledger"])
    if found := inadmissible("response_p99", case, rows, "spike", ["peak"]):
        return found
    peak = rows.of("spike", "peak")
    return (latency("response_p99", peak, case.plan.slo.spike_latency_ms_p99, case.plan.slo.confidence),)


GATE = Gate(
    id="spike_latency",
    area="Testing",
    title="A launch-day spike is served in time",
    failure_title="A launch-day spike is not served in time",
    why="A launch brings its own peak; a service that queues up then loses the users it was launched for.",
    advice="Add capacity for the peak or shed load early; a queue that outlasts the peak shows in the report.",
    requires=("ledger", "machine"),
    judge=judge,
)
