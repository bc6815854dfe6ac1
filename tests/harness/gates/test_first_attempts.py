"""The gate on first attempts: what hosts and retries tell counts, and what the edge was not read for proves nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.gates import all_gates
from harness.model import Outcome
from harness.validity import BLAME
from tests.builders import FAULT_S, SECOND_NS, ZONES, World, healthy, ns

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
GATES = all_gates()


def counted(cluster: str, column: str, growth: int) -> World:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        rows = table["cluster"] == cluster
        table.loc[rows, column] += np.arange(rows.sum()) * growth // 10
        return table

    return healthy().with_table("edge", "counters", edit)


@pytest.mark.parametrize("cluster", ["primary", "candidate"])
def test_retries_and_refused_retries_are_seen_per_cluster(cluster: str) -> None:
    checks = counted(cluster, "upstream_rq_retry", 5).checks(GATES["first_attempts"])
    failing_names = {name for name, check in checks.items() if check.outcome is FAIL}
    assert failing_names == {f"{cluster}_retries"}
    refused = counted(cluster, "upstream_rq_retry_overflow", 1).checks(GATES["first_attempts"])
    assert refused[f"{cluster}_refused"].outcome is FAIL


def test_retries_during_a_fault_are_the_faults() -> None:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[table["t_ns"] > ns("zone_crash", FAULT_S[0] + 1), "upstream_rq_retry"] += 500
        return table

    assert healthy().with_table("edge", "counters", edit).result("first_attempts").outcome is PASS


def test_counters_read_once_or_running_backwards_prove_nothing() -> None:
    once = healthy().with_table("edge", "counters", lambda table: table.groupby("cluster").head(1))
    assert once.result("first_attempts").outcome is UNKNOWN
    back = healthy().with_table("edge", "counters", lambda table: table.assign(upstream_rq_total=-table["t_ns"]))
    assert "ran backwards" in back.result("first_attempts").reason


def bumped(table: str, column: str, at_ns: int, by: int, world: World | None = None) -> World:
    """The counter of one host or cluster of the primary grows by so many at once."""

    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        rows = (frame["cluster"] == "primary") & (frame["t_ns"] > at_ns)
        frame.loc[rows & (frame["zone"] == ZONES[0]) if table == "hosts" else rows, column] += by
        return frame

    return (world or healthy()).with_table("edge", table, edit)


def test_more_retries_in_one_second_never_help() -> None:
    for by in (30, 60, 90, 500):
        once = bumped("counters", "upstream_rq_retry", ns("sustained", 5.2), by)
        twice = bumped("counters", "upstream_rq_retry", ns("sustained", 5.3), by, once)
        for world, bad in ((once, by), (twice, 2 * by)):
            check = world.checks(GATES["first_attempts"])["primary_retries"]
            assert check.outcome is not PASS
            assert check.reason.startswith(f"{bad:,} of")


@pytest.mark.parametrize("column", ["rq_error", "cx_connect_fail"])
def test_errors_of_hosts_count_where_nothing_is_retried(column: str) -> None:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        rows = table["cluster"] == "candidate"
        table.loc[rows, column] += np.arange(rows.sum()) // 10
        return table

    checks = healthy().with_table("edge", "hosts", edit).checks(GATES["first_attempts"])
    assert {name for name, check in checks.items() if check.outcome is FAIL} == {"candidate_retries"}


def test_an_error_and_its_retry_are_one_failed_attempt() -> None:
    at_ns = ns("sustained", 5.2)
    both = bumped("hosts", "rq_error", at_ns, 3, bumped("counters", "upstream_rq_retry", at_ns, 3))
    assert both.checks(GATES["first_attempts"])["primary_retries"].reason.startswith("3 of")


def test_errors_beyond_the_promise_are_not_judged_and_those_below_are() -> None:
    step_ns = {phase["name"]: phase["start_ns"] for phase in _staircase_phases()}
    below = bumped("hosts", "rq_error", step_ns["step-0300"] + SECOND_NS, 200)
    assert below.result("first_attempts").outcome is not PASS
    assert bumped("hosts", "rq_error", step_ns["step-0400"] + SECOND_NS, 200).result("first_attempts").outcome is PASS


def _staircase_phases() -> Any:
    return healthy().evidence["ledger"].facts["scenarios"]["staircase"]["phases"]


def test_growth_that_is_read_late_is_not_hidden_by_the_fault() -> None:
    fault_ns = ns("zone_crash", FAULT_S[0])
    worse = bumped("hosts", "rq_error", fault_ns - SECOND_NS // 2, 200)
    unread = worse.with_table("edge", "hosts", lambda table: table[~_within(table, fault_ns - 6e8, fault_ns)])
    assert unread.checks(GATES["first_attempts"])["primary_retries"].outcome is not PASS


def _within(table: pd.DataFrame, start: float, end: float) -> Any:
    return table["t_ns"].between(start, end)


@pytest.mark.parametrize("table", ["hosts", "counters"])
@pytest.mark.parametrize(
    ("start", "end"),
    [(("sustained", -11), ("sustained", 0.1)), (("spike", 2), ("spike", 3.2)), (("staircase", 1), None)],
)
def test_load_that_the_edge_was_not_read_for_proves_nothing(table: str, start: Any, end: Any) -> None:
    end_ns = ns(*end) if end else float("inf")
    unread = healthy().with_table("edge", table, lambda frame: frame[~_within(frame, ns(*start), end_ns)])
    result = unread.result("first_attempts")
    assert result.outcome is UNKNOWN
    assert "the edge was not read for" in result.reason


@pytest.mark.parametrize("gone_from", [0, ns("spike", 0)])
def test_a_host_missing_from_readings_proves_nothing(gone_from: int) -> None:
    partial = healthy().with_table(
        "edge", "hosts", lambda table: table[(table["zone"] != ZONES[2]) | (table["t_ns"] < gone_from)]
    )
    assert "lack some of its hosts" in partial.result("first_attempts").reason


def test_several_hosts_in_a_zone_are_added_up() -> None:
    double = bumped("hosts", "rq_error", ns("sustained", 5.2), 30).with_table(
        "edge", "hosts", lambda table: pd.concat([table, table], ignore_index=True)
    )
    assert double.checks(GATES["first_attempts"])["primary_retries"].reason.startswith("60 of")


def test_all_retries_of_the_run_keep_to_their_budget() -> None:
    during = bumped("counters", "upstream_rq_retry", ns("zone_crash", FAULT_S[0] + 1), 3000)
    checks = during.checks(GATES["first_attempts"])
    assert {name for name, check in checks.items() if check.outcome is FAIL} == {"primary_retry_budget"}
    assert during.with_slo(retry_ratio_max=0.5).result("first_attempts").outcome is PASS


def test_a_busy_machine_is_blamed_for_failed_attempts() -> None:
    worse = counted("primary", "upstream_rq_retry", 5)
    busy = worse.with_table("machine", "cpu", lambda table: table.assign(busy_cores=2.0))
    assert worse.result("first_attempts").outcome is FAIL
    assert busy.result("first_attempts").outcome is UNKNOWN
    assert BLAME in busy.result("first_attempts").reason


def test_few_first_attempts_are_unknown() -> None:
    few = healthy().with_table(
        "edge", "counters", lambda table: table.assign(upstream_rq_total=table["upstream_rq_total"] // 10)
    )
    assert "more are needed" in few.result("first_attempts").reason


def test_a_fault_that_was_played_must_be_on_the_timeline() -> None:
    """Else losing first its removal and then its request would make an UNKNOWN pass."""

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        return table[~table["event"].str.startswith("fault_")]

    result = healthy().with_table("timeline", "events", edit).result("first_attempts")
    assert result.outcome is UNKNOWN
    assert "no fault is on the timeline" in result.reason


FREEZE = (ns("zone_freeze", FAULT_S[0] + 1), ns("zone_freeze", FAULT_S[0] + 2.5))
"""When an edge is restarted in the window of a fault: a second and a half."""
CALM = (ns("sustained", 5), ns("sustained", 6.5))


def restarted(start: int, end: int) -> World:
    """The edge's hosts are not all known for a while, and then their counts begin anew."""

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        late = table["t_ns"] >= end
        first = table[late].groupby(["cluster", "zone"])["rq_error"].transform("first")
        table.loc[late, "rq_error"] -= first
        return table[~(table["t_ns"].between(start, end) & (table["zone"] == ZONES[2]))]

    def counted_before(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(rq_error=3 * (table["t_ns"] > ns("zone_crash", FAULT_S[0] + 1)))

    return healthy().with_table("edge", "hosts", counted_before).with_table("edge", "hosts", edit)


def test_an_edge_restarted_on_purpose_counts_anew_and_one_that_does_so_unasked_proves_nothing() -> None:
    assert restarted(*FREEZE).result("first_attempts").outcome is PASS
    asked = restarted(*CALM).result("first_attempts")
    assert (asked.outcome, "lack some of its hosts" in asked.reason) == (UNKNOWN, True)


def anew_at(at_ns: int) -> World:
    """The edge's counters of the primary begin anew."""

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        late = (table["cluster"] == "primary") & (table["t_ns"] >= at_ns)
        table.loc[late, "upstream_rq_total"] -= table.loc[late, "upstream_rq_total"].min()
        return table

    return healthy().with_table("edge", "counters", edit)


def test_counters_begin_anew_in_a_fault_only() -> None:
    assert anew_at(FREEZE[0]).result("first_attempts").outcome is PASS
    assert "ran backwards" in anew_at(CALM[0]).result("first_attempts").reason


def test_an_edge_that_is_not_read_while_it_is_restarted_is_no_gap_but_one_that_stays_away_is() -> None:
    def unread(start: float, end: float) -> World:
        return healthy().with_table("edge", "counters", lambda table: table[~table["t_ns"].between(start, end)])

    assert unread(*FREEZE).result("first_attempts").outcome is PASS
    reaching_out = unread(FREEZE[0], ns("zone_freeze", FAULT_S[1] + 6.5)).result("first_attempts")
    assert "the edge was not read for" in reaching_out.reason
