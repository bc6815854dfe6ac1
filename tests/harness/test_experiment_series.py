"""What the verdict holds of each experiment for the report: its numbers and its seconds, whatever else is broken."""

from __future__ import annotations

from typing import Any

import pytest

from harness.experiment_series import experiment_series
from harness.model import Case
from tests.builders import FAULT_S, FAULT_ZONE, SWITCH_S, World, a_run, healthy, ns

KEYS = {
    "name",
    "scenario",
    "repeat",
    "title",
    "label",
    "subjects",
    "load",
    "outcome",
    "reason",
    "fault",
    "offered_rps",
    "n",
    "ttd_s",
    "ttr_s",
    "lost",
    "other_answers",
    "over_slo",
    "budget_burnt",
    "budget_window",
    "first_attempt_errors",
    "retry_amplification",
    "capacity_degraded_rps",
    "seconds",
}


def drawn(world: World) -> dict[str, dict[str, Any]]:
    return {item["scenario"]: item for item in world.judge().series["experiments"]}


def test_every_experiment_is_there_with_the_same_keys() -> None:
    found = drawn(healthy())
    assert list(found) == ["zone_crash", "rollback", "zone_freeze"]
    assert all(set(item) == KEYS for item in found.values())
    assert {item["outcome"] for item in found.values()} == {"PASS"}


def test_the_numbers_are_those_of_the_fault() -> None:
    found = drawn(healthy())["zone_freeze"]
    assert found["fault"] == {"requested_s": FAULT_S[0], "in_place_s": FAULT_S[0] + 0.1, "removed_s": FAULT_S[1]}
    assert found["ttd_s"] == pytest.approx(0.4, abs=0.051)
    assert (found["lost"], found["over_slo"], found["ttr_s"]) == ([0, 0], 0, 0)
    assert (found["offered_rps"], found["n"], found["retry_amplification"]) == (100, 1800, 1)
    assert found["capacity_degraded_rps"] == pytest.approx(100, abs=6)
    assert (found["title"], found["subjects"]) == ("zone_freeze", [FAULT_ZONE])


def test_answers_of_another_version_are_neither_lost_nor_slow_and_counted() -> None:
    def edit(rows: Any) -> Any:
        return (rows["scenario"] == "zone_freeze") & rows["intended_ns"].between(
            ns("zone_freeze", FAULT_S[0]), ns("zone_freeze", FAULT_S[0] + 1)
        )

    found = drawn(healthy().with_rows(edit, model_version="silently-worse"))["zone_freeze"]
    assert found["lost"] == [0, 0]
    assert found["other_answers"] == pytest.approx(100, abs=40)


def test_the_switch_of_versions_has_no_detection_and_no_recovery() -> None:
    found = drawn(healthy())["rollback"]
    assert found["fault"] == {"requested_s": SWITCH_S[0], "in_place_s": None, "removed_s": SWITCH_S[1]}
    assert (found["ttd_s"], found["ttr_s"]) == (None, None)


def failed(count: int, status: int) -> World:
    def pick(rows: Any) -> Any:
        due = (rows["scenario"] == "zone_freeze") & (rows["intended_ns"] > ns("zone_freeze", 4))
        return due & (due.cumsum() <= count)

    return healthy().with_rows(pick, status=status)


def test_lost_requests_burn_the_budget_of_the_window_and_of_the_month() -> None:
    found = drawn(failed(52, 4))["zone_freeze"]
    assert found["lost"] == [0, 52]
    assert found["budget_burnt"] == pytest.approx(52 / 259_200, rel=1e-4)
    due = 100 * (FAULT_S[1] - FAULT_S[0] + 5)
    assert found["budget_window"] == pytest.approx(52 / (due * 0.001), rel=0.1)
    assert found["outcome"] == "FAIL"
    assert "52 of" in found["reason"]


def test_each_second_has_its_times_its_share_answered_and_its_zones() -> None:
    seconds = drawn(failed(52, 14))["zone_freeze"]["seconds"]
    assert seconds["t_s"] == list(range(18))
    assert all(len(seconds[name]) == 18 for name in ("p50_ms", "p99_ms", "ok_ratio"))
    assert seconds["ok_ratio"][3] == 1
    assert seconds["ok_ratio"][4] < 0.7
    assert seconds["zones"][FAULT_ZONE][4:8] == [0, 0, 0, 0]
    assert seconds["zones"][FAULT_ZONE][1] > 15
    assert 2 < seconds["p50_ms"][0] < seconds["p99_ms"][0] < 31


def test_a_hollow_experiment_keeps_its_seconds_and_has_no_numbers() -> None:
    def silent(table: Any) -> Any:
        return table[(table["t_ns"] < ns("zone_freeze", 0)) | (table["event"] != "fault_in_place")]

    found = drawn(healthy().with_table("timeline", "events", silent))["zone_freeze"]
    assert (found["outcome"], found["lost"], found["ttd_s"]) == ("UNKNOWN", None, None)
    assert "fault not in place" in found["reason"]
    assert len(found["seconds"]["t_s"]) == 18


def test_a_run_that_never_began_is_listed_with_its_reason() -> None:
    named = {"experiment": "zone_freeze", "repeat": 1, "scenario": "zone_freeze", "journal": None, "error": "no file"}
    found = drawn(healthy().with_facts("experiments", runs=[named]))["zone_freeze"]
    assert set(found) == KEYS
    assert (found["outcome"], found["reason"]) == ("UNKNOWN", "zone_freeze skipped: no file")


def test_what_is_broken_in_one_experiment_costs_no_other() -> None:
    broken = healthy().with_facts("experiments", runs=[a_run(journal={"experiment": {"title": "x"}}), a_run()])
    first, second = (item for item in broken.judge().series["experiments"] if item["name"] == "zone_freeze")
    assert (first["outcome"], second["outcome"]) == ("UNKNOWN", "PASS")
    without_edge = drawn(healthy().with_evidence("edge", error="never read"))
    assert without_edge["zone_freeze"]["ttd_s"] is None
    assert without_edge["zone_freeze"]["seconds"] is not None


def test_an_older_record_without_what_its_file_says_is_still_drawn() -> None:
    assert "extension" not in healthy().evidence["zone_crash"].facts
    found = experiment_series(Case(healthy().plan, healthy().evidence), [])
    assert [item["reason"] for item in found[:2]] == ["not judged", "not judged"]
    assert found[0]["subjects"] == [FAULT_ZONE]
