"""The gate on the catalogue: each cost against its limit, the worst run decides, and nothing passes unseen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from harness.budget import budget_requests
from harness.gates import all_gates
from harness.model import Check, Outcome
from tests.builders import FAULT_S, FAULT_ZONE, SCENARIOS, ZONES, World, a_run, healthy, ns, start_ns

if TYPE_CHECKING:
    from collections.abc import Callable

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
GATE = all_gates()["fault_tolerance"]
NAME = "zone_freeze"


def rows_of(start: float, end: float, count: int = 10**9) -> Callable[[pd.DataFrame], Any]:
    """The first so many rows of zone_freeze due between two seconds of it."""

    def pick(rows: pd.DataFrame) -> Any:
        due = (rows["scenario"] == NAME) & rows["intended_ns"].between(ns(NAME, start), ns(NAME, end))
        return due & (due.cumsum() <= count)

    return pick


def limited_to(**limits: Any) -> World:
    experiments = dict(healthy().plan.experiments)
    return healthy().with_plan(experiments={**experiments, NAME: replace(experiments[NAME], **limits)})


def checks(world: World) -> dict[str, Check]:
    return {check.name.removeprefix(f"{NAME}_"): check for check in GATE.judge(world.case(GATE))}


def test_every_limit_has_its_check_and_what_the_plan_does_not_limit_is_not_judged() -> None:
    found = checks(healthy())
    assert set(found) == {
        "experiment",
        "lost",
        "budget",
        "ttd",
        "ttr",
        "over_slo",
        "retry_amplification",
        "return",
    }
    none = {"ttd_s_max": None, "ttr_s_max": None, "over_slo_ratio_max": None, "retry_amplification_max": None}
    assert set(checks(limited_to(**none))) == {"experiment", "lost", "budget", "return"}
    assert found["ttd"].observed == pytest.approx(0.4, abs=0.051)
    assert found["ttr"].observed == 0


def test_a_lost_request_fails_and_one_before_the_fault_does_not() -> None:
    assert checks(healthy().with_rows(rows_of(4, 5, 1), status=14))["lost"].outcome is FAIL
    assert checks(healthy().with_rows(rows_of(1, 2, 1), status=14))["lost"].outcome is PASS
    elsewhere = healthy().with_rows(
        lambda rows: (rows["scenario"] == "zone_crash") & (rows["intended_ns"] > ns("zone_crash", 4)), status=14
    )
    assert checks(elsewhere)["lost"].outcome is PASS


def test_the_budget_is_of_thirty_days_at_the_launch_rate() -> None:
    plan = healthy().plan
    assert budget_requests(plan) == pytest.approx((1 - 0.999) * 100 * 30 * 86_400)
    world = limited_to(lost_max=1000, budget_share_max=1e-4).with_rows(rows_of(4, 5, 25), status=4)
    assert checks(world)["budget"].outcome is PASS
    assert checks(world)["budget"].observed == pytest.approx(25 / budget_requests(plan))
    more = limited_to(lost_max=1000, budget_share_max=1e-4).with_rows(rows_of(4, 5, 26), status=4)
    assert checks(more)["budget"].outcome is FAIL


def test_slow_answers_count_as_over_the_limit_and_not_as_lost() -> None:
    slow = healthy().with_rows(rows_of(4, 5, 30), done_ns=lambda rows: rows["intended_ns"] + 60e6)
    found = checks(slow)
    assert (found["over_slo"].outcome, found["lost"].outcome) == (FAIL, PASS)
    assert "30 of" in found["over_slo"].reason


def retried(count: int, at_s: float) -> World:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        later = (table["cluster"] == "primary") & (table["t_ns"] > ns(NAME, at_s))
        table.loc[later, ["upstream_rq_retry", "upstream_rq_total"]] += count
        return table

    return healthy().with_table("edge", "counters", edit)


def test_retries_in_the_window_amplify_and_others_do_not() -> None:
    assert checks(retried(300, FAULT_S[0] + 1))["retry_amplification"].observed == pytest.approx(0.285, abs=0.01)
    assert checks(retried(300, FAULT_S[0] + 1))["retry_amplification"].outcome is FAIL
    assert checks(retried(300, FAULT_S[0] - 1))["retry_amplification"].observed == 0
    assert checks(retried(0, FAULT_S[0] + 1))["retry_amplification"].headroom() == 1
    blind = healthy().with_table("edge", "counters", lambda table: table[table["t_ns"] < ns(NAME, 9)])
    assert checks(blind)["retry_amplification"].outcome is UNKNOWN


def test_a_zone_that_gets_no_traffic_back_fails() -> None:
    assert checks(healthy().with_rows(rows_of(FAULT_S[1], 18), zone=ZONES[0]))["return"].outcome is FAIL


def test_a_limit_on_detection_needs_a_zone_to_detect() -> None:
    told = {**a_run()["extension"], "subjects": ["edge"]}

    def at_the_edge(table: pd.DataFrame) -> pd.DataFrame:
        mine = table["t_ns"] > start_ns(NAME)
        table.loc[mine & table["event"].str.startswith("fault_"), "subject"] = "edge"
        return table

    world = healthy().with_run(extension=told).with_table("timeline", "events", at_the_edge)
    assert (checks(world)["ttd"].outcome, "return" in checks(world)) == (UNKNOWN, False)


def repeated(*changes: dict[str, Any]) -> World:
    """zone_freeze run several times, each run as the healthy one but for the rows and facts changed."""
    world, runs = limited_to(repeats=len(changes), lost_max=5), []
    ledger, timeline = world.evidence["ledger"], world.evidence["timeline"]
    rows, events = ledger.tables["requests"], timeline.tables["events"]
    mine = rows[rows["scenario"] == NAME]
    parts, told, scenarios = [rows], [events], dict(ledger.facts["scenarios"])
    for number, change in enumerate(changes, start=1):
        scenario = NAME if number == 1 else f"{NAME}#{number}"
        runs.append(a_run(repeat=number, scenario=scenario, **change.get("facts", {})))
        again = mine.assign(scenario=scenario, request_id=mine["request_id"] + (number << 45))
        again.loc[again.index[700 : 700 + change.get("lost", 0)], "status"] = 14
        parts.append(again)
        scenarios[scenario] = scenarios[NAME]
        if number > 1:
            own = events[(events["subject"] == NAME) & events["event"].str.startswith("experiment_")]
            told.append(own.assign(subject=scenario))
    parts[0] = rows[rows["scenario"] != NAME]
    return (
        world.with_facts("experiments", runs=runs)
        .with_facts("ledger", scenarios=scenarios)
        .with_table("ledger", "requests", lambda _: pd.concat(parts, ignore_index=True))
        .with_table("timeline", "events", lambda _: pd.concat(told, ignore_index=True))
    )


def test_the_worst_of_several_runs_is_judged_and_the_median_shown() -> None:
    found = checks(repeated({}, {"lost": 4}, {"lost": 1}))["lost"]
    assert (found.outcome, found.observed) == (PASS, 4)
    assert found.reason.endswith("5 allowed; the worst of 3 runs, median 1")
    assert checks(repeated({}, {"lost": 6}, {}))["lost"].outcome is FAIL
    hollow = {"facts": {"journal": None, "error": "journal truncated"}}
    assert checks(repeated(hollow, {"lost": 4}, hollow))["lost"].reason.endswith(
        "; the only one of 3 runs that shows it"
    )


def test_one_hollow_run_of_several_makes_the_experiment_unknown() -> None:
    world = repeated({}, {"facts": {"journal": None, "error": "journal truncated"}}, {})
    found = checks(world)
    assert (found["experiment"].outcome, found["lost"].outcome) == (UNKNOWN, PASS)
    assert found["experiment"].reason.startswith("zone_freeze#2: journal truncated")


def test_a_run_that_is_not_on_record_is_unknown() -> None:
    short = repeated({}, {}, {}).with_facts("experiments", runs=[a_run(), a_run(repeat=2)])
    (check,) = GATE.judge(short.case(GATE))
    assert (check.outcome, check.reason) == (UNKNOWN, "2 of 3 runs of zone_freeze are on record")
    twice = repeated({}, {}).with_facts("experiments", runs=[a_run(), a_run()])
    assert next(iter(GATE.judge(twice.case(GATE)))).outcome is UNKNOWN
    nothing = healthy().with_facts("experiments", runs=[])
    assert nothing.result("fault_tolerance").outcome is UNKNOWN


def test_an_experiment_whose_file_was_not_read_says_so() -> None:
    named = {"experiment": NAME, "repeat": 1, "scenario": NAME, "journal": None, "error": "there is no file a.json"}
    world = healthy().with_facts("experiments", runs=[named])
    assert world.result("fault_tolerance").reason == "zone_freeze skipped: there is no file a.json"


def test_a_broken_record_leaves_the_other_experiments_to_be_judged() -> None:
    experiments = {**healthy().plan.experiments, "zone_melt": healthy().plan.experiments[NAME]}
    world = healthy().with_plan(experiments=experiments)
    missing = {check.name: check for check in GATE.judge(world.case(GATE))}
    assert missing["zone_melt_experiment"].reason == "0 of 1 runs of zone_melt are on record"
    assert missing["zone_freeze_lost"].outcome is PASS
    broken = world.with_facts("experiments", runs=[a_run(), a_run("zone_melt", exit_code=None, ended_by=None)])
    found = {check.name: check for check in GATE.judge(broken.case(GATE))}
    assert (found["zone_melt_experiment"].outcome, found["zone_freeze_lost"].outcome) == (UNKNOWN, PASS)


def spiked(**told: Any) -> World:
    """zone_freeze under a spike, on record as such: nine hundred requests more in its middle third."""
    at = start_ns(NAME)
    edges = [at, at + 2 * 10**9, at + 14 * 10**9, at + 18 * 10**9]

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        mine = table[table["scenario"] == NAME].copy()
        mine["phase"] = pd.cut(mine["intended_ns"], edges, labels=["before", "peak", "after"], right=False).astype(str)
        peak = mine[mine["phase"] == "peak"]
        more = [peak.assign(request_id=peak["request_id"] + (n << 45)) for n in (1, 2)]
        return pd.concat([table[table["scenario"] != NAME], mine, *more], ignore_index=True)

    world = healthy().with_table("ledger", "requests", edit)
    facts = world.evidence["ledger"].facts["scenarios"]
    names, rates = ("before", "peak", "after"), (100, 300, 100)
    phases = [
        {
            "name": name,
            "rate_rps": rate,
            "end_rate_rps": None,
            "duration_s": (end - start) / 1e9,
            "start_ns": start,
            "end_ns": end,
        }
        for name, rate, start, end in zip(names, rates, edges[:-1], edges[1:], strict=True)
    ]
    n = int((world.evidence["ledger"].tables["requests"]["scenario"] == NAME).sum())
    scenario = {**facts[NAME], "phases": phases, "scheduled": n, "recorded": n}
    world = world.with_facts("ledger", scenarios={**facts, NAME: scenario})
    return world.with_run(extension={**a_run()["extension"], **told})


def test_a_fault_in_a_spike_is_judged_by_the_spikes_limit_and_only_where_its_file_asks_for_it() -> None:
    world = spiked(load="spike")
    assert {check.outcome for check in checks(world).values()} == {PASS}
    slower = world.with_rows(rows_of(4, 12), done_ns=lambda rows: rows["intended_ns"] + 150e6)
    assert checks(slower)["over_slo"].outcome is PASS
    assert checks(slower.with_slo(spike_latency_ms_p99=100))["over_slo"].outcome is FAIL
    assert "its load was not the steady one" in spiked().result("fault_tolerance").reason
    assert (
        "its load was not the spike one"
        in healthy().with_run(extension={**a_run()["extension"], "load": "spike"}).result("fault_tolerance").reason
    )


def test_an_edge_that_counts_anew_in_the_window_is_measured() -> None:
    def anew(table: pd.DataFrame) -> pd.DataFrame:
        late = table["t_ns"] > ns(NAME, 5)
        names = ["upstream_rq_total", "upstream_rq_completed"]
        table.loc[late, names] -= table.loc[late, names].min()
        return table

    found = checks(healthy().with_table("edge", "counters", anew))["retry_amplification"]
    assert (found.outcome, found.observed) == (PASS, 0)


def switched() -> World:
    """The experiment breaks the candidate instead of a zone, as one that sends traffic to it does."""

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        mine = (table["t_ns"] > start_ns(NAME)) & table["event"].str.startswith("fault_")
        table.loc[mine, "subject"] = "candidate"
        return table

    told = {**a_run()["extension"], "subjects": ["candidate"], "detects": False}
    return limited_to(ttd_s_max=None).with_run(extension=told).with_table("timeline", "events", edit)


def test_another_version_may_answer_in_the_window_of_a_switch_and_nowhere_else() -> None:
    within = switched().with_rows(rows_of(4, 5), model_version="2")
    assert within.result("fault_tolerance").outcome is PASS
    assert within.result("availability").outcome is PASS
    assert (
        "version 2 answered" in switched().with_rows(rows_of(1, 2), model_version="2").result("fault_tolerance").reason
    )


def test_another_version_may_not_answer_in_place_of_a_zone() -> None:
    result = healthy().with_rows(rows_of(4, 5), model_version="2").result("fault_tolerance")
    assert (result.outcome, "version 2 answered" in result.reason) == (UNKNOWN, True)


def test_a_zone_that_was_idle_before_was_not_tested() -> None:
    world = healthy().with_rows(rows_of(0, FAULT_S[0]), zone=ZONES[0])
    assert f"{FAULT_ZONE} had no fair share of traffic before the fault" in world.result("fault_tolerance").reason


def test_a_load_that_ends_before_all_has_settled_shows_too_little() -> None:
    def late(table: pd.DataFrame) -> pd.DataFrame:
        mine = (table["t_ns"] > start_ns(NAME)) & (table["event"] == "fault_removed")
        table.loc[mine, "t_ns"] = ns(NAME, 14)
        return table

    result = healthy().with_table("timeline", "events", late).result("fault_tolerance")
    assert result.outcome is UNKNOWN
    assert "the load went on for only 4.0 s after the fault was gone; 5 s needed" in result.reason


def test_a_fault_that_was_gone_before_the_load_met_it_shows_nothing() -> None:
    def brief(table: pd.DataFrame) -> pd.DataFrame:
        mine = (table["t_ns"] > start_ns(NAME)) & (table["event"] == "fault_removed")
        table.loc[mine, "t_ns"] = ns(NAME, FAULT_S[0] + 0.15)
        return table

    result = healthy().with_table("timeline", "events", brief).result("fault_tolerance")
    assert result.outcome is UNKNOWN
    assert "were due while the fault was in place; 20 needed" in result.reason


def test_a_fault_that_bites_long_after_its_request_is_timed_to_the_end_of_what_it_did() -> None:
    bites_s = FAULT_S[0] + 5.5

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        mine = table["t_ns"] > start_ns(NAME)
        table.loc[mine & (table["event"] == "fault_in_place"), "t_ns"] = ns(NAME, bites_s)
        table.loc[mine & (table["event"] == "fault_removed"), "t_ns"] = ns(NAME, bites_s + 2)
        return table

    late = healthy().with_table("timeline", "events", edit)
    slow = late.with_rows(rows_of(bites_s, bites_s + 1), done_ns=lambda rows: rows["intended_ns"] + 60e6)
    assert checks(late)["ttr"].observed == 0
    found = checks(slow)["ttr"]
    assert (found.outcome, found.observed) == (FAIL, pytest.approx(6.5, abs=0.15))


def test_a_plan_without_experiments_that_names_the_gate_is_unknown() -> None:
    few = {name: item for name, item in healthy().plan.experiments.items() if name != NAME}
    (check,) = GATE.judge(healthy().with_plan(experiments=few).case(GATE))
    assert (check.outcome, check.reason) == (UNKNOWN, "the Plan names no experiment of the catalogue")


def test_the_catalogue_is_the_last_load_of_the_healthy_world() -> None:
    assert list(SCENARIOS)[-1] == NAME
