"""Response time under the load expected at launch."""

from __future__ import annotations

from harness.checks import inadmissible, latency
from harness.model import Case, Check, Gate
from harness.slices import requests


def judge(case: Case) -> tuple[Check, ...]:
    """p99 of response time over the phase sustained/hold."""
    rows = requests(case.evidence["ledger"])
    if found := inadmissible("response_p99", case, rows, "sustained", ["hold"]):
        return found
    hold = rows.of("sustained", "hold")
    return (latency("response_p99", hold, case.plan.slo.latency_ms_p99, case.plan.slo.confidence),)


GATE = Gate(
    id="sustained_latency",
    area="Testing",
    title="Fast enough under launch load",
    failure_title="Too slow under launch load",
    why="This is what users feel all day; what is slow on the first day becomes slower as traffic grows.",
    advice="See in the report when the slow requests came: all the time means too little capacity, bursts mean pauses.",
    requires=("ledger", "machine"),
    judge=judge,
)
