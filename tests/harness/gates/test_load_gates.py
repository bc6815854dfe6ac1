"""The gates on load: each defect is caught, the generator's are not the service's, and too little is UNKNOWN."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.gates import all_gates
from harness.model import Outcome
from harness.validity import BLAME
from tests.builders import FAULT_S, World, every, healthy, ns

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
GATES = all_gates()
LATENCY = {"sustained_latency": ("sustained", "hold"), "spike_latency": ("spike", "peak")}


def slow(scenario: str, phase: str, one_in: int, ms: float = 400) -> World:
    return healthy().with_rows(
        lambda rows: every(rows, one_in, scenario, phase), done_ns=lambda rows: rows["intended_ns"] + ms * 1e6
    )


def between(start: float, end: float, scenario: str = "sustained") -> Any:
    return lambda rows: rows["intended_ns"].between(ns(scenario, start), ns(scenario, end))


@pytest.mark.parametrize(("name", "place"), LATENCY.items())
def test_slow_answers_fail(name: str, place: tuple[str, str]) -> None:
    world = slow(*place, one_in=40)
    (check,) = world.checks(GATES[name]).values()
    assert check.outcome is FAIL
    assert check.observed == 400
    assert check.interval is not None
    assert "took longer than" in check.reason
    assert slow("shadow", "hold", 2).result(name).outcome is PASS


@pytest.mark.parametrize(("name", "place"), LATENCY.items())
def test_failed_requests_are_over_any_limit(name: str, place: tuple[str, str]) -> None:
    world = healthy().with_rows(lambda rows: every(rows, 40, *place), status=14)
    (check,) = world.checks(GATES[name]).values()
    assert (check.outcome, check.observed) == (FAIL, None)


def test_near_the_limit_it_says_how_many_more_are_needed() -> None:
    (check,) = slow("sustained", "hold", 110).checks(GATES["sustained_latency"]).values()
    assert check.outcome is UNKNOWN
    assert "more are needed" in check.reason


def test_one_burst_of_slow_answers_is_too_few_samples_of_bursts() -> None:
    burst = healthy().with_rows(between(10, 10.2), done_ns=lambda rows: rows["intended_ns"] + 400e6)
    assert burst.result("sustained_latency").outcome is UNKNOWN


def test_a_stall_that_fills_the_cap_is_the_services_failure() -> None:
    """The service stalls for two seconds: some wait, some can't even be sent; the pacing was good."""
    world = healthy().with_rows(
        between(10, 12), done_ns=lambda rows: np.maximum(rows["done_ns"], ns("sustained", 12)) + rows["request_id"] % 7
    )
    world = world.with_rows(between(11, 12), status=-2, sent_ns=np.nan, done_ns=np.nan)
    stalled = world.with_rows(between(14, 16), status=-1, done_ns=np.nan)
    assert stalled.result("load_generator").outcome is PASS
    assert stalled.result("sustained_latency").outcome is FAIL
    assert stalled.result("availability").outcome is FAIL
    assert stalled.judge().exit_code == 1


def test_a_generator_stopped_for_two_seconds_is_unknown_on_the_generator() -> None:
    stopped = healthy().with_rows(
        between(10, 12),
        sent_ns=ns("sustained", 12),
        done_ns=lambda rows: ns("sustained", 12) + 5e6 + rows["request_id"] % 7,
    )
    for name in ("load_generator", "sustained_latency", "availability"):
        result = stopped.result(name)
        assert result.outcome is UNKNOWN, name
        assert "the generator, not the service" in result.reason
    assert stopped.result("spike_latency").outcome is PASS
    assert stopped.judge().exit_code == 3


def test_requests_never_sent_are_the_generators() -> None:
    unsent = healthy().with_rows(
        lambda rows: every(rows, 50, "spike", "peak"), status=-3, sent_ns=np.nan, done_ns=np.nan
    )
    assert "were never sent" in unsent.result("spike_latency").reason
    assert unsent.result("load_generator").outcome is UNKNOWN


def failing(one_in: int, scenario: str = "sustained", phase: str | None = None) -> World:
    return healthy().with_rows(lambda rows: every(rows, one_in, scenario, phase), status=14)


def test_availability_fails_above_its_budget_and_is_unknown_near_it() -> None:
    assert failing(50).result("availability").outcome is FAIL
    assert failing(270).result("availability").outcome is UNKNOWN
    assert failing(2000).result("availability").outcome is PASS


def test_warm_up_counts_as_availability() -> None:
    assert failing(2, "sustained", "warmup").result("availability").outcome is not PASS


def test_answers_after_the_timeout_are_no_answers() -> None:
    world = healthy().with_rows(
        lambda rows: every(rows, 50, "shadow"), done_ns=lambda rows: rows["intended_ns"] + 2.1e9
    )
    assert world.result("availability").outcome is FAIL


def test_availability_leaves_out_fault_windows_and_steps_beyond_the_promise() -> None:
    start, end = FAULT_S[0], FAULT_S[1] + 5
    assert healthy().with_rows(between(start, end, "zone_crash"), status=14).result("availability").outcome is PASS
    after = healthy().with_rows(between(end + 0.1, end + 3, "zone_crash"), status=14)
    assert after.result("availability").outcome is not PASS
    assert failing(2, "staircase", "step-0400").result("availability").outcome is PASS
    assert failing(9, "staircase", "step-0300").result("availability").outcome is FAIL


def test_availability_needs_the_fault_on_the_timeline() -> None:
    calm = healthy().with_table("timeline", "events", lambda table: table[~table["event"].str.startswith("fault")])
    assert "no fault is on the timeline" in calm.result("availability").reason


def test_capacity_is_the_highest_step_that_holds_with_all_below() -> None:
    checks = slow("staircase", "step-0300", 10).checks(GATES["capacity"])
    assert {check.outcome for check in checks.values()} == {PASS}
    assert checks["in_six_months"].observed == 200
    assert "400 req/s in a year is not shown" in checks["in_six_months"].reason


def test_a_step_below_the_need_that_fails_is_missing_capacity() -> None:
    checks = slow("staircase", "step-0200", 10).checks(GATES["capacity"])
    assert checks["at_launch"].outcome is PASS
    assert (checks["in_six_months"].outcome, checks["in_six_months"].observed) == (FAIL, 100)
    assert slow("staircase", "step-0100", 10).result("capacity").outcome is FAIL


def test_a_generator_that_can_not_keep_up_below_the_need_is_unknown() -> None:
    def lagging(phase: str) -> World:
        return healthy().with_rows(
            lambda rows: every(rows, 2, "staircase", phase),
            sent_ns=lambda rows: rows["intended_ns"] + 9e6,
            done_ns=lambda rows: rows["intended_ns"] + 12e6,
        )

    assert "the generator, not the service" in lagging("step-0200").result("capacity").reason
    assert lagging("step-0200").result("capacity").outcome is UNKNOWN
    assert lagging("step-0300").result("capacity").outcome is PASS
    assert lagging("step-0400").result("load_generator").outcome is PASS  # beyond what is promised
    assert lagging("step-0300").result("load_generator").outcome is UNKNOWN


def test_a_need_that_was_never_tried_is_unknown() -> None:
    world = healthy().with_plan(traffic=replace(healthy().plan.traffic, six_months_rps=900, one_year_rps=1000))
    assert world.result("capacity").outcome is UNKNOWN
    assert "no higher rate was tried" in world.result("capacity").reason


def refused(scenario: str, text: str) -> World:
    """A scenario that was not driven: nothing of it was sent."""
    scenarios = healthy().evidence["ledger"].facts["scenarios"]
    facts = {**scenarios[scenario], "finished": False, "workers_lost": 1, "recorded": 0, "phases": [], "refused": text}
    world = healthy().with_facts("ledger", scenarios={**scenarios, scenario: facts})
    return world.with_table("ledger", "requests", lambda table: table[table["scenario"] != scenario])


@pytest.mark.parametrize(("scenario", "gate"), [("spike", "spike_latency"), ("staircase", "capacity")])
def test_a_load_that_the_generator_can_not_do_is_unknown_with_the_number(scenario: str, gate: str) -> None:
    world = refused(scenario, "refused: this generator can do 90 req/s here, 300 asked")
    for name in (gate, "availability", "load_generator"):
        result = world.result(name)
        assert result.outcome is UNKNOWN
        reasons = " ".join(check.reason for check in result.checks)
        assert f"{BLAME}: refused: this generator can do 90 req/s here, 300 asked" in reasons
        assert "lost" not in reasons


def test_where_the_generator_gives_out_the_capacity_is_a_lower_bound() -> None:
    scenarios = healthy().evidence["ledger"].facts["scenarios"]
    text = "refused: this generator can do 700 req/s here, 900 asked"
    world = healthy().with_facts(
        "ledger", scenarios={**scenarios, "staircase": {**scenarios["staircase"], "refused": text}}
    )
    assert world.result("load_generator").outcome is PASS
    reason = "carries at least 600 req/s (the generator gives out there); 400 req/s in a year is shown"
    assert world.result("capacity").reason == reason
    short = world.with_plan(traffic=replace(world.plan.traffic, six_months_rps=800, one_year_rps=800))
    assert short.result("capacity").outcome is UNKNOWN
    assert text in short.result("capacity").reason


def test_next_year_is_a_check_where_it_is_shown_and_no_limit_to_be_near_to() -> None:
    check = healthy().checks(GATES["capacity"])["in_one_year"]
    assert (check.outcome, check.observed, check.limit) == (PASS, 600, None)
    broken = slow("staircase", "step-0400", 10).checks(GATES["capacity"])
    assert list(broken) == ["at_launch", "in_six_months"]
    assert broken["in_six_months"].interval == (300, 400)
    assert broken["in_six_months"].reason == "carries 300 req/s, not 400; 400 req/s in a year is not shown"


def test_a_failure_below_the_need_is_one_even_where_a_lower_step_proves_too_little() -> None:
    both = slow("staircase", "step-0200", 10).with_rows(
        lambda rows: every(rows, 100, "staircase", "step-0100"), status=14
    )
    assert both.checks(GATES["capacity"])["in_six_months"].outcome is FAIL
    assert both.checks(GATES["capacity"])["at_launch"].outcome is not PASS


def test_a_search_beyond_the_promise_must_be_whole_and_nothing_more() -> None:
    late = healthy().with_rows(
        lambda rows: rows["scenario"] == "search-1",
        sent_ns=lambda rows: rows["intended_ns"] + 9e6,
        done_ns=lambda rows: rows["intended_ns"] + 12e6,
    )
    check = late.checks(GATES["load_generator"])["search-1"]
    assert (check.outcome, check.observed, check.n) == (PASS, None, 1800)
    assert late.result("availability").outcome is PASS
    assert "at least 400 req/s (the generator gives out there)" in late.result("capacity").reason
    lost = healthy().with_table(
        "ledger", "requests", lambda table: table.drop(index=table.index[table["scenario"] == "search-1"][:5])
    )
    for gate in ("load_generator", "availability"):
        assert "1795 of 1800 scheduled requests" in " ".join(check.reason for check in lost.result(gate).checks)


def test_cpu_and_what_was_left_open_are_told_and_not_held_against_the_load() -> None:
    scenarios = healthy().evidence["ledger"].facts["scenarios"]
    facts = {**scenarios["sustained"], "cpu_share": 0.97, "drained": False}
    world = healthy().with_facts("ledger", scenarios={**scenarios, "sustained": facts})
    check = world.checks(GATES["load_generator"])["sustained"]
    assert check.outcome is PASS
    assert "its busiest worker used 97 % of a core; requests were still open at its end" in check.reason
