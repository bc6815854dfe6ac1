"""What load may carry a claim: at the Plan's rates, answered by the version to launch, on a watched machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.gates import all_gates
from harness.model import Outcome
from tests.builders import every, healthy, ns

UNKNOWN = Outcome.UNKNOWN
GATES = all_gates()

JUDGED = {
    "sustained": ("sustained_latency", "availability"),
    "spike": ("spike_latency", "availability"),
    "shadow": ("availability",),
    "staircase": ("capacity", "availability"),
    "zone_crash": ("zone_failure", "availability"),
}


@pytest.mark.parametrize("scenario", sorted(JUDGED))
def test_answers_of_another_version_say_nothing_of_the_one_to_launch(scenario: str) -> None:
    other = healthy().with_rows(lambda rows: rows["scenario"] == scenario, model_version="9")
    unnamed = healthy().with_rows(lambda rows: every(rows, 100, scenario), model_version="")
    for gate in JUDGED[scenario]:
        assert other.result(gate).outcome is UNKNOWN
        assert "version 9 answered, version 1 is to launch" in other.result(gate).reason
        assert "version unnamed answered" in unnamed.result(gate).reason


@pytest.mark.parametrize("scenario", ["sustained", "spike", "shadow", "zone_crash", "rollback"])
def test_load_at_another_rate_than_the_plans_is_unknown(scenario: str) -> None:
    traffic = replace(healthy().plan.traffic, launch_rps=150, spike_rps=3000)
    world = healthy().with_plan(traffic=traffic)
    gates = {"rollback": ("rollback", "availability")} | JUDGED
    for gate in (*gates[scenario], "load_generator"):
        assert world.result(gate).outcome is UNKNOWN
    reason = world.checks(GATES["load_generator"])[scenario].reason
    assert "was driven at 100 req/s; the Plan wants 150" in reason
    assert ("spike/peak was driven at 300 req/s; the Plan wants 3000" in reason) == (scenario == "spike")


def test_machine_samples_lost_while_it_was_busy_are_no_calm() -> None:
    busy = healthy().with_table(
        "machine",
        "cpu",
        lambda table: table.assign(busy_cores=1.2 + table["t_ns"].between(ns("sustained", 0), ns("sustained", 20))),
    )
    assert "busy with other work" in busy.result("sustained_latency").reason
    lost = busy.with_table("machine", "cpu", lambda table: table[table["busy_cores"] < 2])
    for gate in ("sustained_latency", "availability", "load_generator"):
        assert "load was not measured meanwhile" in lost.result(gate).reason
