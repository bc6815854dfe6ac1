"""The series hold what the ledger and the timeline say, in plain numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.series import series
from tests.builders import FAULT_S, FAULT_ZONE, SCENARIOS, SWITCH_S, World, every, healthy, ns


def drawn(world: World) -> dict[str, Any]:
    return series(world.evidence, world.plan)


def test_every_request_is_in_a_bin_and_lists_are_equally_long() -> None:
    found = drawn(healthy())
    total = len(healthy().evidence["ledger"].tables["requests"])
    assert sum(found["ok_rps"]) * found["bin_s"] == pytest.approx(total)
    names = ("t_s", "ok_rps", "failed_rps", "p50_ms", "p99_ms", "max_ms")
    assert {len(found[name]) for name in names} == {len(found["t_s"])}
    assert sum(sum(rates) for rates in found["zones"].values()) == pytest.approx(sum(found["ok_rps"]))


def test_a_bin_without_requests_has_no_response_time() -> None:
    found = drawn(healthy())
    gap_s = 10 + 27 + 0.5  # between sustained and shadow
    place = found["t_s"].index(gap_s)
    assert found["p50_ms"][place] is None
    assert found["ok_rps"][place] == 0.0


def test_failures_are_drawn_and_have_no_response_time() -> None:
    world = healthy().with_rows(lambda rows: every(rows, 2, "sustained"), status=14)
    assert sum(drawn(world)["failed_rps"]) * 0.5 == 1350
    unsent = healthy().with_rows(lambda rows: every(rows, 2, "sustained"), status=-3)
    assert sum(drawn(unsent)["failed_rps"]) == 0


def test_the_dead_zone_is_seen_to_leave_and_to_return() -> None:
    found = drawn(healthy())
    rates = dict(zip(found["t_s"], found["zones"][FAULT_ZONE], strict=True))
    start = ns("zone_crash", 0) / 1e9
    assert rates[start + 5] == 0
    assert rates[start + 1] > 0
    assert rates[start + 12] > 0


def test_phases_faults_and_limits_are_there() -> None:
    found = drawn(healthy())
    assert [item["phase"] for item in found["phases"]] == [name for phases in SCENARIOS.values() for name, *_ in phases]
    assert found["phases"][0]["rate_rps"] == 100
    start, switch, later = (ns(name, 0) / 1e9 for name in ("zone_crash", "rollback", "zone_freeze"))
    assert found["faults"] == [
        {"kind": "zone_crash", "subject": FAULT_ZONE, "start_s": start + FAULT_S[0], "end_s": start + FAULT_S[1]},
        {"kind": "promoted", "subject": "candidate", "start_s": switch + SWITCH_S[0], "end_s": switch + SWITCH_S[1]},
        {"kind": "zone_freeze", "subject": FAULT_ZONE, "start_s": later + FAULT_S[0], "end_s": later + FAULT_S[1]},
    ]
    assert found["slo_ms"]["spike"] == 200
    assert found["slo_ms"]["sustained"] == 50


def test_a_fault_never_seen_to_end_stays_open() -> None:
    world = healthy().with_table("timeline", "events", lambda table: table[table["event"] != "fault_removed"])
    assert drawn(world)["faults"][0]["end_s"] is None


def test_the_distribution_counts_every_good_answer() -> None:
    found = drawn(healthy())["distribution"]
    assert sum(found["spike"]["counts"]) == 3600
    assert len(found["spike"]["edges_ms"]) == len(found["spike"]["counts"]) + 1


def test_it_is_plain_json_and_the_same_each_time() -> None:
    assert json.dumps(drawn(healthy()), allow_nan=False) == json.dumps(drawn(healthy()), allow_nan=False)


def test_what_is_missing_is_left_out() -> None:
    assert drawn(healthy().without("ledger", "timeline")) == {}
    assert "faults" not in drawn(healthy().with_evidence("timeline", error="gone"))


def test_the_capacity_is_drawn_from_its_steps_and_costs_no_other_chart() -> None:
    found = drawn(healthy())["capacity"]
    assert [step["rate_rps"] for step in found["steps"]] == [100, 200, 300, 400, 600]
    assert all(0 < step["p50_ms"] < step["p99_ms"] < found["limit_ms"] for step in found["steps"])
    assert (found["held_rps"], found["failed_rps"]) == (600, None)
    assert found["words"] == "carries at least 600 req/s (no higher rate was tried)"
    unwatched = drawn(healthy().without("machine"))
    assert "capacity" not in unwatched
    assert unwatched["ok_rps"] == drawn(healthy())["ok_rps"]
