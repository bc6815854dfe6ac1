"""The verdict: one decision from all results, with everything missing told and nothing passed over."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest

from harness.gates import all_gates
from harness.judge import judge
from harness.ledger_columns import columns
from harness.model import Case, Check, Decision, Outcome, Result, Stage
from harness.plan_types import Declaration, Launch
from harness.verdict_json import from_json, to_json
from tests.builders import World, a_waiver, healthy

SLOW = {"latency_ms_p99": 0.1}


def result(verdict: Any, gate: str) -> Result:
    return next(item for item in verdict.results if item.gate == gate)


def test_a_healthy_world_is_go() -> None:
    verdict = healthy().judge()
    assert (verdict.decision, verdict.exit_code) == (Decision.GO, 0)
    assert verdict.headline == "GO for stage internal: 12 of 12 gates passed; not judged: disaster_recovery, gpu_engine"
    assert verdict.next_action.startswith("Launch")
    assert [item["gate"] for item in verdict.not_judged] == ["disaster_recovery", "gpu_engine"]
    assert "to spare" in verdict.weakest_area


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = to_json(healthy().judge()), to_json(healthy().judge())
    assert first == second
    assert from_json(first).results == healthy().judge().results


def test_the_ledger_is_read_once_for_all_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr("harness.slices.columns", lambda table: read.append(1) or columns(table))
    healthy().judge()
    assert len(read) == 1


def test_each_gate_says_why_it_could_not_read_the_ledger() -> None:
    verdict = healthy().with_rows(lambda rows: rows.index == 3, done_ns=0).judge()
    told = {item.gate for item in verdict.results if "an answer from before its request was due" in item.reason}
    assert told == {name for name, gate in all_gates().items() if "ledger" in gate.requires}
    assert "an answer from before" in verdict.series["error"]


def test_a_limit_not_held_is_no_go_and_names_the_gate() -> None:
    few = {name: item for name, item in healthy().plan.experiments.items() if name != "zone_freeze"}
    verdict = healthy().with_slo(**SLOW).with_plan(experiments=few).judge()
    assert (verdict.decision, verdict.exit_code) == (Decision.NO_GO, 1)
    assert "failed: sustained_latency" in verdict.headline
    assert verdict.next_action.startswith("Fix first: Too slow under launch load")
    assert verdict.weakest_area == "Testing: Too slow under launch load"


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (healthy().without("quality"), "the evidence “quality” was not collected"),
        (healthy().with_evidence("quality", error="the service hung up"), "could not be used: the service hung up"),
        (healthy().with_evidence("quality", subject="flight-delay@2"), "is of flight-delay@2, not of flight-delay@1"),
        (healthy().with_evidence("quality", tables={}), "could not be judged (KeyError: 'answers')"),
    ],
)
def test_evidence_that_is_not_there_is_unknown(world: World, reason: str) -> None:
    verdict = world.judge()
    assert reason in result(verdict, "model_quality").reason
    assert (verdict.decision, verdict.exit_code) == (Decision.NO_GO, 3)
    assert "unknown: model_quality" in verdict.headline


def with_gate(**changes: Any) -> Any:
    gates = all_gates()
    gates["rollback"] = replace(gates["rollback"], **changes)
    return judge(healthy().plan, healthy().run, healthy().evidence, gates)


def test_a_gate_that_raises_is_unknown() -> None:
    def broken(_: Case) -> tuple[Check, ...]:
        raise ZeroDivisionError("by nothing")

    verdict = with_gate(judge=broken)
    assert result(verdict, "rollback").reason == "could not be judged (ZeroDivisionError: by nothing)"
    assert verdict.exit_code == 3


def test_a_gate_without_checks_is_unknown() -> None:
    assert result(with_gate(judge=lambda _: ()), "rollback").outcome is Outcome.UNKNOWN


def test_a_gate_sees_only_what_it_requires() -> None:
    seen: list[set[str]] = []

    def look(case: Case) -> tuple[Check, ...]:
        seen.append(set(case.evidence))
        return (Check(name="look", outcome=Outcome.PASS, reason="seen"),)

    with_gate(judge=look, requires=("shadow", "quality"))
    assert seen == [{"shadow", "quality"}]


def test_no_gates_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="no gates to judge by"):
        judge(healthy().plan, healthy().run, healthy().evidence, {})


def test_a_required_gate_that_does_not_exist_is_unknown() -> None:
    verdict = healthy().with_plan(launch=Launch(stage=Stage.BETA)).judge()
    assert result(verdict, "canary").reason == "not built yet in this version"
    assert (verdict.decision, verdict.exit_code) == (Decision.NO_GO, 3)


def test_a_waiver_in_date_lets_go_and_still_shows_the_failure() -> None:
    world = healthy().with_slo(**SLOW)
    waivers = tuple(a_waiver(gate) for gate in ("sustained_latency", "capacity", "zone_failure", "fault_tolerance"))
    verdict = world.with_plan(waivers=waivers).judge()
    assert (verdict.decision, verdict.exit_code) == (Decision.GO, 0)
    assert verdict.headline.startswith("GO with 4 waivers for stage internal")
    waived = result(verdict, "sustained_latency")
    assert (waived.outcome, waived.waiver) == (Outcome.FAIL, "A. Owner until 2025-04-01: the pilot has twelve users")
    single = healthy().with_slo(spike_latency_ms_p99=0.1).with_plan(waivers=(a_waiver("spike_latency"),)).judge()
    assert single.headline.startswith("GO with 1 waiver for")


@pytest.mark.parametrize(
    ("dates", "note"),
    [
        ({"expires": dt.date(2025, 2, 28)}, "expired on 2025-02-28"),
        ({"granted": dt.date(2025, 3, 2)}, "begins only on 2025-03-02"),
    ],
)
def test_a_waiver_out_of_date_changes_nothing_and_is_told(dates: dict[str, dt.date], note: str) -> None:
    waiver = a_waiver("spike_latency", **dates)
    verdict = healthy().with_slo(spike_latency_ms_p99=0.1).with_plan(waivers=(waiver,)).judge()
    assert (verdict.decision, verdict.exit_code) == (Decision.NO_GO, 1)
    assert note in result(verdict, "spike_latency").reason
    assert note in verdict.waivers[0]["state"]


@pytest.mark.parametrize("day", [dt.date(2025, 3, 1)])
def test_a_waiver_holds_on_its_first_and_its_last_day(day: dt.date) -> None:
    waiver = a_waiver("spike_latency", granted=day, expires=day)
    assert healthy().with_slo(spike_latency_ms_p99=0.1).with_plan(waivers=(waiver,)).judge().exit_code == 0


def test_a_waiver_of_a_passing_gate_does_nothing() -> None:
    verdict = healthy().with_plan(waivers=(a_waiver("rollback"),)).judge()
    assert verdict.headline.startswith("GO for")
    assert result(verdict, "rollback").waiver is None


def test_an_interrupted_run_is_never_go() -> None:
    world = healthy()
    verdict = replace(world, run=replace(world.run, interrupted=True)).judge()
    assert (verdict.decision, verdict.exit_code) == (Decision.NO_GO, 3)
    assert "the run was interrupted" in verdict.headline


def test_stage_load_does_not_call_unjudged_what_it_judged() -> None:
    verdict = healthy().with_plan(launch=Launch(stage=Stage.LOAD)).judge()
    assert "fault_tolerance" in {result.gate for result in verdict.results}
    assert verdict.headline.endswith("rollback and shadow were not judged: this is no launch decision")
    assert "chaos" not in verdict.headline


def test_stage_load_is_no_launch_decision() -> None:
    world = healthy().with_plan(launch=Launch(stage=Stage.LOAD), experiments={})
    verdict = world.without("edge", "shadow", "quality", "baseline", "zone_crash", "rollback").judge()
    assert verdict.decision is Decision.GO
    assert verdict.headline.endswith("chaos, rollback and shadow were not judged: this is no launch decision")
    assert {item["gate"] for item in verdict.not_judged} >= {"zone_failure", "rollback", "shadow_agreement"}
    assert len(verdict.results) == 5


def test_declarations_and_service_are_carried_with_their_state() -> None:
    stated = Declaration(
        statement="Someone is on call", owner="B", declared=dt.date(2024, 1, 1), expires=dt.date(2025, 1, 1)
    )
    verdict = healthy().with_plan(declarations={"on_call": stated}).judge()
    assert verdict.declarations[0]["state"] == "out of date"
    assert verdict.service["name"] == "flight-delay"


def test_what_the_run_can_not_show_is_told() -> None:
    assert any("TensorRT was not run" in limit for limit in healthy().judge().limits_of_evidence)
    assert any("3 process groups" in limit for limit in healthy().judge().limits_of_evidence)
    assert any("not recorded" in limit for limit in healthy().without("environment").judge().limits_of_evidence)


def test_each_result_tells_how_to_reproduce_it_and_from_what() -> None:
    for item in healthy().judge().results:
        assert item.reproduce == "gonogo judge runs/run-1"
        assert item.evidence == all_gates()[item.gate].requires
        assert item.why
        assert item.advice


def test_broken_evidence_leaves_a_verdict_without_charts() -> None:
    verdict = healthy().with_evidence("ledger", tables={}).judge()
    assert "no charts" in verdict.series["error"]
    json.loads(to_json(verdict))


def test_a_profile_without_the_catalogue_leaves_its_gate_out_and_says_so_unless_the_plan_names_it() -> None:
    quick = replace(healthy(), run=replace(healthy().run, profile="quick"))
    left_out = quick.with_evidence("experiments", error="profile quick leaves the catalogue out", facts={})
    verdict = left_out.judge()
    assert verdict.decision is Decision.GO
    assert verdict.headline.endswith("; not judged: disaster_recovery, the catalogue (profile quick), gpu_engine")
    reasons = {item["gate"]: item["reason"] for item in verdict.not_judged}
    assert reasons["fault_tolerance"] == "profile quick leaves the catalogue of experiments out"
    gates = (*(item.gate for item in verdict.results), "fault_tolerance")
    named = left_out.with_plan(launch=Launch(stage=Stage.INTERNAL, gates=gates)).judge()
    assert (named.decision, named.exit_code) == (Decision.NO_GO, 3)
    assert "profile quick leaves the catalogue out" in result(named, "fault_tolerance").reason
