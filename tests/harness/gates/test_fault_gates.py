"""The gates on faults and switches: each precondition has its own reason, each limit is judged pessimistically."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.gates import all_gates
from harness.model import Check, Outcome
from tests.builders import FAULT_S, FAULT_ZONE, SWITCH_S, ZONES, World, every, healthy, ns

if TYPE_CHECKING:
    import pandas as pd

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
GATES = all_gates()
ZONE, ROLLBACK = GATES["zone_failure"], GATES["rollback"]


def during(start: float, end: float, scenario: str = "zone_crash") -> Any:
    return lambda rows: (
        (rows["scenario"] == scenario) & rows["intended_ns"].between(ns(scenario, start), ns(scenario, end))
    )


def few(start: float, end: float, count: int, scenario: str = "zone_crash") -> Any:
    def pick(rows: pd.DataFrame) -> Any:
        mask = during(start, end, scenario)(rows)
        return mask & (mask.cumsum() <= count)

    return pick


MET, UNMET = {"steady_state_met": True}, {"steady_state_met": False}
SAYS_NO = {"activity": {"name": "look", "tolerance": True}, "status": "succeeded", "output": False}
FAILED = {"activity": {"name": "kill"}, "status": "failed"}
JOURNALS: list[tuple[dict[str, Any], str]] = [
    ({"steady_states": {"before": UNMET, "after": MET}}, "baseline not met"),
    ({"steady_states": {"before": None, "after": None}}, "baseline not met"),
    ({"run": []}, "skipped: no activity"),
    ({"run": [FAILED]}, "skipped: only 1 of"),
    ({"run": [FAILED] * 3}, "activity failed: kill"),
    ({"run": [SAYS_NO] * 3}, "activity failed: look"),
    ({"rollbacks": []}, "rollback not played"),
    ({"rollbacks": [FAILED]}, "rollback failed: kill"),
    ({"status": "interrupted"}, "interrupted: ended by a signal"),
    ({"status": "aborted"}, "ended as 'aborted'"),
]


@pytest.mark.parametrize("name", ["zone_crash", "rollback"])
@pytest.mark.parametrize(("journal", "reason"), JOURNALS)
def test_each_unmet_precondition_of_an_experiment_has_its_own_reason(
    name: str, journal: dict[str, Any], reason: str
) -> None:
    result = healthy().with_journal(name, **journal).result("zone_failure" if name == "zone_crash" else name)
    assert result.outcome is UNKNOWN
    assert reason in result.reason


def test_an_experiment_that_exits_badly_is_unknown_and_one_that_ends_unsteady_fails() -> None:
    assert "exit code was 1" in healthy().with_facts("zone_crash", exit_code=1).result("zone_failure").reason
    lost = {"deviated": True, "status": "failed", "steady_states": {"before": MET, "after": UNMET}}
    for name, gate in (("zone_crash", "zone_failure"), ("rollback", "rollback")):
        journal = {**healthy().evidence[name].facts["journal"], **lost}
        world = healthy().with_facts(name, exit_code=1, journal=journal)
        assert world.result(gate).outcome is FAIL
        assert "steady state was not there again" in world.result(gate).reason


@pytest.mark.parametrize(("name", "gate"), [("zone_crash", "zone_failure"), ("rollback", "rollback")])
def test_an_experiment_that_spent_the_budget_fails_unless_the_machine_was_busy(name: str, gate: str) -> None:
    journal = {**healthy().evidence[name].facts["journal"], "status": "interrupted"}
    world = healthy().with_facts(name, journal=journal, ended_by="safeguard", exit_code=1)
    assert world.result(gate).outcome is FAIL
    assert "the error budget was spent" in world.result(gate).reason
    busy = world.with_table("machine", "cpu", lambda table: table.assign(busy_cores=2.0))
    assert busy.result(gate).outcome is UNKNOWN
    by_signal = world.with_facts(name, journal=journal, ended_by="itself")
    assert by_signal.result(gate).outcome is UNKNOWN


@pytest.mark.parametrize("event", ["fault_requested", "fault_in_place", "fault_removed"])
def test_each_event_of_a_fault_is_needed(event: str) -> None:
    world = healthy().with_table("timeline", "events", lambda table: table[table["event"] != event])
    result = world.result("zone_failure")
    assert result.outcome is UNKNOWN
    assert event.replace("_", " ").replace("fault", "fault not") in result.reason


def test_a_fault_seen_in_place_only_after_its_removal_was_not_in_place() -> None:
    def late(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[table["event"] == "fault_in_place", "t_ns"] = ns("zone_crash", FAULT_S[1] + 1)
        return table

    assert "fault not in place" in healthy().with_table("timeline", "events", late).result("zone_failure").reason


def test_a_fault_that_was_gone_before_the_load_met_it_shows_nothing() -> None:
    def brief(table: pd.DataFrame) -> pd.DataFrame:
        mine = (table["t_ns"] < ns("rollback", 0)) & (table["event"] == "fault_removed")
        table.loc[mine, "t_ns"] = ns("zone_crash", FAULT_S[0] + 0.15)
        return table

    result = healthy().with_table("timeline", "events", brief).result("zone_failure")
    assert result.outcome is UNKNOWN
    assert "were due while the fault was in place; 20 needed" in result.reason


def test_a_load_that_ends_before_the_crash_has_settled_shows_too_little() -> None:
    def late(table: pd.DataFrame) -> pd.DataFrame:
        mine = (table["t_ns"] < ns("rollback", 0)) & (table["event"] == "fault_removed")
        table.loc[mine, "t_ns"] = ns("zone_crash", 14)
        return table

    result = healthy().with_table("timeline", "events", late).result("zone_failure")
    assert result.outcome is UNKNOWN
    assert "the load went on for only 4.0 s after the fault was gone; 5 s needed" in result.reason


def lost_with(status: int, count: int = 3) -> Check:
    return healthy().with_rows(few(4, 6, count), status=status).checks(ZONE)["lost"]


def test_lost_is_an_interval_judged_on_its_upper_end() -> None:
    assert (lost_with(14).interval, lost_with(14).outcome) == ((3, 3), FAIL)
    assert (lost_with(4).interval, lost_with(4).outcome) == ((0, 3), FAIL)
    assert lost_with(-1).interval == (0, 3)
    assert lost_with(-2).interval == (3, 3)


def test_lost_may_reach_its_limit() -> None:
    experiments = dict(healthy().plan.experiments)
    experiments["zone_crash"] = replace(experiments["zone_crash"], lost_max=3)
    world = healthy().with_plan(experiments=experiments)
    assert world.with_rows(few(3, 4, 3), status=14).checks(ZONE)["lost"].outcome is PASS
    assert world.with_rows(few(3, 4, 4), status=14).checks(ZONE)["lost"].outcome is FAIL


def test_failures_before_the_fault_are_not_lost_to_it() -> None:
    assert healthy().with_rows(few(1, 2, 3), status=14).checks(ZONE)["lost"].outcome is PASS


@pytest.mark.parametrize(("name", "gate"), [("zone_crash", "zone_failure"), ("zone_freeze", "fault_tolerance")])
def test_what_was_open_when_the_fault_came_and_failed_is_lost_to_it(name: str, gate: str) -> None:
    """A slow answer that dies with its zone was due before the fault, and is its first victim."""
    open_then = few(FAULT_S[0] - 0.1, FAULT_S[0] - 0.001, 3, name)
    world = healthy().with_rows(open_then, status=14, done_ns=lambda rows: rows["intended_ns"] + 300e6)
    found = {check.name.removeprefix(f"{name}_"): check for check in world.result(gate).checks}
    assert (found["lost"].outcome, found["lost"].observed) == (FAIL, 3)


def seen_healthy(start: float, end: float) -> World:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        polls = table["t_ns"].between(ns("zone_crash", start), ns("zone_crash", end))
        table.loc[polls & (table["zone"] == FAULT_ZONE), "healthy"] = True
        return table

    return healthy().with_table("edge", "hosts", edit)


def test_detection_is_when_the_edge_stops_for_good() -> None:
    assert healthy().checks(ZONE)["ttd"].observed == pytest.approx(0.4, abs=0.051)
    assert seen_healthy(3, 4).checks(ZONE)["ttd"].observed == pytest.approx(1.05, abs=0.051)
    flapping = seen_healthy(5.5, 5.6).checks(ZONE)["ttd"]
    assert (flapping.outcome, flapping.observed) == (FAIL, pytest.approx(2.65, abs=0.051))
    never = seen_healthy(3, 9).checks(ZONE)["ttd"]
    assert (never.outcome, never.observed) == (FAIL, None)


def test_an_answer_by_the_dead_zone_moves_detection() -> None:
    def late(rows: pd.DataFrame) -> Any:
        return few(5, 6, 1)(rows)

    check = healthy().with_rows(late, zone=FAULT_ZONE).checks(ZONE)["ttd"]
    assert check.observed == pytest.approx(2.0, abs=0.1)


def sent_until(end: float, column: str) -> World:
    """The edge's counter of the dead zone grows until then; it calls the zone unhealthy all the same."""

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        zone = table["zone"] == FAULT_ZONE
        polls = zone & table["t_ns"].between(ns("zone_crash", FAULT_S[0]), ns("zone_crash", end))
        table.loc[zone, column] += polls[zone].cumsum()
        return table

    return healthy().with_table("edge", "hosts", edit)


@pytest.mark.parametrize("column", ["rq_total", "cx_connect_fail"])
def test_traffic_that_the_edge_counts_moves_detection(column: str) -> None:
    assert sent_until(4, column).checks(ZONE)["ttd"].observed == pytest.approx(1.0, abs=0.051)
    assert sent_until(5.5, column).checks(ZONE)["ttd"].outcome is FAIL
    never = sent_until(9, column).checks(ZONE)["ttd"]
    assert (never.outcome, never.observed) == (FAIL, None)


def test_traffic_that_was_not_counted_is_unknown() -> None:
    uncounted = healthy().with_table("edge", "hosts", lambda table: table.assign(rq_total=np.nan))
    assert uncounted.checks(ZONE)["ttd"].outcome is UNKNOWN


def test_an_edge_not_watched_closely_is_unknown() -> None:
    def thin(table: pd.DataFrame) -> pd.DataFrame:
        return table[~table["t_ns"].between(ns("zone_crash", 4), ns("zone_crash", 5))]

    assert healthy().with_table("edge", "hosts", thin).checks(ZONE)["ttd"].outcome is UNKNOWN
    blind = healthy().with_table("edge", "hosts", lambda table: table[table["zone"] != FAULT_ZONE])
    assert blind.checks(ZONE)["ttd"].outcome is UNKNOWN


def slow_until(end: float) -> Check:
    return (
        healthy()
        .with_rows(during(FAULT_S[0], end), done_ns=lambda rows: rows["intended_ns"] + 300e6)
        .checks(ZONE)["ttr"]
    )


def test_recovery_is_the_first_moment_from_which_the_slo_holds() -> None:
    assert healthy().checks(ZONE)["ttr"].observed == 0
    check = slow_until(4.5)
    assert (check.outcome, check.observed) == (PASS, pytest.approx(1.5, abs=0.11))
    assert slow_until(6).outcome is FAIL
    assert slow_until(16).observed is None
    assert slow_until(16).outcome is FAIL


def test_a_relapse_within_five_seconds_is_no_recovery() -> None:
    relapse = healthy().with_rows(during(6, 6.5), done_ns=lambda rows: rows["intended_ns"] + 300e6)
    assert relapse.checks(ZONE)["ttr"].observed == pytest.approx(3.5, abs=0.11)


@pytest.mark.parametrize(("name", "gate"), [("zone_crash", "zone_failure"), ("zone_freeze", "fault_tolerance")])
def test_a_return_that_callers_notice_is_no_recovery(name: str, gate: str) -> None:
    """Five seconds of good answers while the fault lasts do not make up for three bad ones when the zone comes back."""
    slow = healthy().with_rows(
        during(FAULT_S[1], FAULT_S[1] + 3, name), done_ns=lambda rows: rows["intended_ns"] + 900e6
    )
    found = {check.name.removeprefix(f"{name}_"): check for check in slow.result(gate).checks}
    assert found["ttr"].outcome is FAIL
    assert "met again 3.0 s after its removal" in found["ttr"].reason


def test_a_zone_that_gets_no_traffic_back_fails() -> None:
    world = healthy().with_rows(during(FAULT_S[1], 18), zone=ZONES[0])
    check = world.checks(ZONE)["return"]
    assert (check.outcome, check.observed) == (FAIL, 0)


def test_a_bad_generator_makes_the_fault_unknown() -> None:
    world = healthy().with_rows(
        lambda rows: every(rows, 2, "zone_crash"),
        sent_ns=lambda rows: rows["intended_ns"] + 9e6,
        done_ns=lambda rows: rows["intended_ns"] + 12e6,
    )
    assert "the generator, not the service" in world.result("zone_failure").reason


def test_limits_that_the_plan_does_not_set_can_not_be_kept() -> None:
    world = healthy().with_plan(experiments={})
    assert "sets no experiments.zone_crash.lost_max" in world.result("zone_failure").reason
    assert "sets no experiments.rollback.lost_max" in world.result("rollback").reason


def answered_by(version: str, start: float, end: float) -> dict[str, Check]:
    return healthy().with_rows(during(start, end, "rollback"), model_version=version).checks(ROLLBACK)


def test_switch_time_ends_when_the_old_version_answers_no_more() -> None:
    promoted, back = SWITCH_S
    assert healthy().checks(ROLLBACK)["promotion"].observed == pytest.approx(0, abs=0.05)
    assert answered_by("1", promoted, promoted + 0.5)["promotion"].observed == pytest.approx(0.5, abs=0.05)
    assert answered_by("1", promoted, promoted + 1.5)["promotion"].outcome is FAIL
    assert answered_by("2", back, back + 1.5)["rollback"].outcome is FAIL
    straggler = answered_by("2", back + 2, back + 2.02)["rollback"]
    assert straggler.observed == pytest.approx(2.0, abs=0.1)


def test_a_version_that_never_takes_over_fails() -> None:
    checks = answered_by("1", 0, 10)
    assert (checks["promotion"].outcome, checks["promotion"].observed) == (FAIL, None)


def test_a_failed_request_does_not_hide_the_old_version() -> None:
    world = healthy().with_rows(few(SWITCH_S[0] + 1.4, SWITCH_S[0] + 1.6, 1, "rollback"), status=14)
    assert world.checks(ROLLBACK)["promotion"].observed == pytest.approx(1.4, abs=0.1)
    assert world.checks(ROLLBACK)["lost"].outcome is FAIL


@pytest.mark.parametrize(("event", "reason"), [("promoted", "not promoted"), ("rolled_back", "not rolled back")])
def test_both_switches_must_be_on_the_timeline(event: str, reason: str) -> None:
    world = healthy().with_table("timeline", "events", lambda table: table[table["event"] != event])
    assert reason in world.result("rollback").reason


def test_lost_counts_over_the_whole_rollback() -> None:
    world = healthy().with_rows(few(0, 1, 2, "rollback"), status=4, done_ns=np.nan)
    assert world.checks(ROLLBACK)["lost"].interval == (0, 2)


@pytest.mark.parametrize("name", ["zone_crash", "rollback"])
def test_the_record_of_another_experiment_proves_nothing(name: str) -> None:
    gate, other = ("zone_failure", "rollback") if name == "zone_crash" else ("rollback", "zone_crash")
    swapped = {**healthy().evidence[other].facts, "target_zone": FAULT_ZONE}
    untitled = {**healthy().evidence[name].facts["journal"]["experiment"], "title": ""}
    for world, reason in (
        (healthy().with_evidence(name, facts=swapped), f"the record is of '{other}', not of '{name}'"),
        (healthy().with_facts(name, file="local/other.json"), f"local/other.json was run; the Plan names local/{name}"),
        (healthy().with_journal(name, experiment=untitled), "the journal names no experiment"),
    ):
        assert world.result(gate).outcome is UNKNOWN
        assert reason in world.result(gate).reason


def test_a_zone_without_traffic_before_its_crash_was_not_tested() -> None:
    world = healthy().with_rows(during(0, FAULT_S[0]), zone=ZONES[0])
    assert world.result("zone_failure").outcome is UNKNOWN
    assert "zone-b had no fair share of traffic before the fault" in world.result("zone_failure").reason

    def sooner(table: pd.DataFrame) -> pd.DataFrame:
        mine = table["t_ns"] < ns("rollback", 0)
        table.loc[mine & (table["event"] == "fault_requested"), "t_ns"] = ns("zone_crash", 0.05)
        return table

    early = healthy().with_table("timeline", "events", sooner).result("zone_failure")
    assert "requests were due before the fault" in early.reason


@pytest.mark.parametrize(("name", "gate"), [("zone_crash", "zone_failure"), ("rollback", "rollback")])
def test_an_unsteady_end_is_not_held_against_the_service_when_the_machine_was_busy(name: str, gate: str) -> None:
    world = healthy().with_journal(name, deviated=True, status="failed")
    assert world.result(gate).outcome is FAIL
    busy = world.with_table("machine", "cpu", lambda table: table.assign(busy_cores=2.0))
    assert busy.result(gate).outcome is UNKNOWN


@pytest.mark.parametrize(("event", "at_s"), [("rolled_back", 9.5), ("rolled_back", 9.95), ("promoted", 5.35)])
def test_a_switch_needs_load_for_as_long_as_it_may_take(event: str, at_s: float) -> None:
    def later(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[table["event"] == event, "t_ns"] = ns("rollback", at_s)
        return table

    version = "2" if event == "rolled_back" else "1"
    since = SWITCH_S[1] if event == "rolled_back" else SWITCH_S[0]
    world = healthy().with_rows(during(since, at_s, "rollback"), model_version=version)
    check = world.with_table("timeline", "events", later).checks(ROLLBACK)[
        "rollback" if event == "rolled_back" else "promotion"
    ]
    assert check.outcome is UNKNOWN
    assert "the load went on for only 0." in check.reason


def test_a_quick_switch_still_needs_enough_requests() -> None:
    experiments = dict(healthy().plan.experiments)
    experiments["rollback"] = replace(experiments["rollback"], switch_s_max=0.01)

    def later(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[table["event"] == "rolled_back", "t_ns"] = ns("rollback", 9.9)
        return table

    world = healthy().with_plan(experiments=experiments).with_table("timeline", "events", later)
    assert "the load went on for only" in world.checks(ROLLBACK)["rollback"].reason
