"""The generator is blamed for what it did, and only for that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.gates import all_gates
from harness.slices import requests
from harness.validity import beyond_promise, foreign_cores, lag_limit_ms, objections, other_versions
from tests.builders import World, every, healthy, ns

GATE = all_gates()["sustained_latency"]


def found(world: World, scenario: str = "sustained", phases: list[str] | None = None) -> str:
    rows = requests(world.evidence["ledger"])
    return "; ".join(objections(world.case(GATE), rows, scenario, phases))


def with_scenario(**changes: Any) -> World:
    scenarios = healthy().evidence["ledger"].facts["scenarios"]
    return healthy().with_facts("ledger", scenarios={**scenarios, "sustained": {**scenarios["sustained"], **changes}})


def test_a_good_load_raises_no_objection() -> None:
    assert found(healthy()) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"finished": False}, "did not run to its end"),
        ({"finished": None}, "did not run to its end"),
        ({"workers_lost": 1}, "1 load workers were lost"),
        ({"gaps": 2}, "the ledger has gaps"),
        ({"scheduled": 2701}, "2700 of 2701 scheduled requests"),
        ({"phases": []}, "phases are not the schedule's"),
    ],
)
def test_an_incomplete_load_is_told(changes: dict[str, Any], reason: str) -> None:
    assert reason in found(with_scenario(**changes))


def test_rows_that_are_gone_are_missed() -> None:
    world = healthy().with_table("ledger", "requests", lambda table: table.drop(index=300))
    assert "2699 of 2700" in found(world)


def test_a_rate_that_was_never_offered_is_told() -> None:
    phases = [
        {**phase, "rate_rps": 150}
        for phase in with_scenario().evidence["ledger"].facts["scenarios"]["sustained"]["phases"]
    ]
    assert "hold has 2500 requests; its rate asks for about 3750" in found(with_scenario(phases=phases))


def late(by_ms: float, n: int) -> World:
    return healthy().with_rows(
        lambda rows: every(rows, n, "sustained", "hold"),
        sent_ns=lambda rows: rows["intended_ns"] + by_ms * 1e6,
        done_ns=lambda rows: rows["intended_ns"] + by_ms * 1e6 + 1e6,
    )


def test_lag_is_judged_at_the_99th_percentile_of_each_phase() -> None:
    assert found(late(3, 101)) == ""
    assert "sustained/hold was sent 3.0 ms late at p99 (2.5 ms allowed)" in found(late(3, 90))
    assert found(late(2.4, 2)) == ""


def test_the_lag_allowed_follows_the_slo_and_never_falls_below_a_millisecond() -> None:
    assert lag_limit_ms(healthy().plan, "sustained") == 2.5
    assert lag_limit_ms(healthy().plan, "spike") == 10
    assert lag_limit_ms(healthy().with_slo(latency_ms_p99=5).plan, "sustained") == 1


def test_unsent_rows_may_take_a_tenth_of_the_budget() -> None:
    def unsent(count: int) -> World:
        def pick(rows: Any) -> Any:
            mask = (rows["scenario"] == "sustained") & (rows["phase"] == "hold")
            return mask & (mask.cumsum() <= count)

        return healthy().with_rows(pick, status=-3, sent_ns=np.nan, done_ns=np.nan)

    assert found(unsent(2)) == ""
    assert "3 requests of sustained/hold were never sent" in found(unsent(3))


def test_a_full_cap_is_no_fault_of_the_generator() -> None:
    world = healthy().with_rows(
        lambda rows: every(rows, 4, "sustained", "hold"), status=-2, sent_ns=np.nan, done_ns=np.nan
    )
    assert found(world) == ""


def test_other_work_on_the_machine_is_told_only_when_it_was_there_meanwhile() -> None:
    def busy(start: int, end: int) -> World:
        return healthy().with_table(
            "machine", "cpu", lambda table: table.assign(busy_cores=1.2 + table["t_ns"].between(start, end))
        )

    assert "the machine was busy with other work (1.10 cores" in found(busy(ns("sustained", 0), ns("sustained", 30)))
    assert found(busy(ns("spike", 0), ns("spike", 20))) == ""
    rows = requests(healthy().evidence["ledger"])
    assert foreign_cores(healthy().evidence["machine"], rows) == pytest.approx(0.1)


def test_a_machine_that_was_not_watched_proves_nothing() -> None:
    assert "was not measured" in found(healthy().with_table("machine", "cpu", lambda table: table.iloc[:0]))
    assert "busy with other work (nan" in found(
        healthy().with_table("machine", "cpu", lambda table: table.assign(own_cores=np.nan))
    )


def test_an_attached_service_on_this_machine_is_not_foreign_work() -> None:
    busy = healthy().with_table("machine", "cpu", lambda table: table.assign(busy_cores=2.0))
    attached = {"provider": "attached", "registry": "", "version": ""}
    here = replace(busy.plan.target, address="127.0.0.1:9000", **attached)
    there = replace(busy.plan.target, address="service.example:9000", **attached)
    assert found(busy.with_plan(target=here)) == ""
    assert "busy with other work" in found(busy.with_plan(target=there))


def test_what_is_beyond_the_promised_rates_is_known() -> None:
    assert beyond_promise(healthy().case(GATE)) == {("staircase", "step-0400"), ("search-1", "hold")}


def test_each_phase_holds_one_rate_and_it_is_the_plans() -> None:
    def phases(**changes: Any) -> World:
        facts = healthy().evidence["ledger"].facts["scenarios"]["sustained"]["phases"]
        return with_scenario(phases=[{**phase, **changes} for phase in facts])

    assert "sustained/hold was driven at 99 req/s; the Plan wants 100" in found(phases(rate_rps=99))
    assert "sustained/hold was driven at 100 to 101 req/s; a phase holds one rate" in found(phases(end_rate_rps=101))


def test_a_gap_in_the_machines_samples_is_told_from_two_seconds_on() -> None:
    def unseen(start: float, end: float) -> World:
        return healthy().with_table(
            "machine",
            "cpu",
            lambda table: table[~table["t_ns"].between(ns("sustained", start), ns("sustained", end))],
        )

    assert found(unseen(10.1, 11.9)) == ""
    assert "was not measured meanwhile" in found(unseen(10.1, 12.4))
    assert "was not measured meanwhile" in found(unseen(-5, 2.4))
    assert "was not measured meanwhile" in found(unseen(24.6, 40), phases=["hold"])


def test_an_attached_service_may_leave_its_version_out_but_not_name_another() -> None:
    target = replace(healthy().plan.target, provider="attached", registry="", address="service.example:9000")
    plan = replace(healthy().plan, target=target)
    rows = requests(healthy().evidence["ledger"]).of("sustained")
    unnamed, other = (replace(rows, model_version=pd.Categorical([name]).repeat(len(rows))) for name in ("", "9"))
    assert other_versions(plan, rows) == other_versions(plan, unnamed) == ""
    assert other_versions(plan, other) == "version 9 answered, version 1 is to launch"
    assert other_versions(healthy().plan, unnamed) == "version unnamed answered, version 1 is to launch"
    assert other_versions(replace(plan, target=replace(target, version="")), other) == ""
    failed = replace(other, status=np.full(len(rows), 14))
    assert other_versions(healthy().plan, failed) == ""
