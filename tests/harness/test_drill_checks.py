"""A drill is judged on what it left: each way in which it can be hollow, too slow, or have lost too much."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from harness.drill_checks import judge_drill
from harness.model import Outcome, worst
from tests.builders import a_plan
from tests.drill_builders import BACK_S, DRILLS, FAULT_S, S, drill_evidence, targets, with_facts, with_table

if TYPE_CHECKING:
    from harness.model import Check, Evidence

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN


def judged(name: str, evidence: dict[str, Evidence], **changes: Any) -> tuple[Outcome, dict[str, Check]]:
    """The outcome, and the checks by name."""
    checks = judge_drill(name, a_plan(), replace(targets(name), **changes), evidence)
    return worst(tuple(check.outcome for check in checks)), {check.name: check for check in checks}


@pytest.mark.parametrize("name", DRILLS)
def test_a_drill_that_went_well_passes_with_its_numbers(name: str) -> None:
    outcome, checks = judged(name, drill_evidence(name))
    assert outcome is PASS, checks
    assert {"rto", "rpo"} <= set(checks)


def test_rto_and_rpo_are_those_of_the_ledger_and_the_journal() -> None:
    _, checks = judged("data_loss", drill_evidence("data_loss"))
    assert checks["rto"].observed == pytest.approx(BACK_S - FAULT_S, abs=0.2)
    assert checks["rpo"].observed == pytest.approx(1.1, abs=0.02)
    assert (
        checks["rpo"].reason
        == "RPO 1.1 s: 100 of 2,200 acknowledged requests are missing from the journal; 5 s allowed"
    )


def test_targets_that_were_missed_fail() -> None:
    evidence = drill_evidence("data_loss")
    assert judged("data_loss", evidence, rto_s_max=1.5)[1]["rto"].outcome is FAIL
    assert judged("data_loss", evidence, rpo_s_max=1.0)[1]["rpo"].outcome is FAIL


def slow_between(start_s: float, end_s: float) -> dict[str, Evidence]:
    """The zone's loss, with every answer over the latency limit between two seconds on the drill's clock."""

    def edit(table: pd.DataFrame) -> pd.DataFrame:
        slow = table["intended_ns"].between(start_s * S, end_s * S)
        return table.assign(done_ns=table["done_ns"].where(~slow, table["intended_ns"] + 200e6))

    return with_table(drill_evidence("zone_failure"), "ledger", "requests", edit)


def test_losing_a_zone_is_recovered_from_when_its_return_is_too() -> None:
    quiet = judged("zone_failure", drill_evidence("zone_failure"))[1]["rto"]
    assert (quiet.outcome, quiet.observed) == (PASS, 0)
    back_s = BACK_S + 3.5  # the zone's return disturbs once the SLO has been met for 5 s since the disaster
    found = judged("zone_failure", slow_between(back_s, back_s + 1), rto_s_max=4)[1]["rto"]
    assert (found.outcome, found.observed) == (FAIL, pytest.approx(4.5, abs=0.15))
    assert "after the zone's return" in found.reason
    assert judged("zone_failure", slow_between(back_s, back_s + 1))[1]["rto"].observed == found.observed


def test_a_zone_that_nobody_saw_return_shows_no_recovery() -> None:
    evidence = drill_evidence("zone_failure")
    gone = with_table(evidence, "timeline", "events", lambda table: table[table["event"] != "fault_removed"])
    outcome, checks = judged("zone_failure", gone)
    assert (outcome, checks["disaster"].reason) == (UNKNOWN, "nothing proves that the zone is whole again")


def test_with_a_target_of_zero_nothing_may_be_missing() -> None:
    assert judged("zone_failure", drill_evidence("zone_failure"))[1]["rpo"].outcome is PASS
    lost = with_table(drill_evidence("zone_failure"), "drill", "records", lambda table: table.drop(table.index[890]))
    found = judged("zone_failure", lost)[1]["rpo"]
    assert (found.outcome, "1 of 2,400" in found.reason) == (FAIL, True)


def test_what_was_acknowledged_after_the_disaster_and_is_missing_fails_whatever_the_target() -> None:
    evidence = with_table(drill_evidence("data_loss"), "drill", "records", lambda table: table.iloc[:-3])
    found = judged("data_loss", evidence, rpo_s_max=1000)[1]["rpo"]
    assert (found.outcome, "3 of them acknowledged after the disaster" in found.reason) == (FAIL, True)


def test_without_a_backup_it_fails_and_says_what_is_lost() -> None:
    restore = {**drill_evidence("data_loss")["drill"].facts["restore"], "backup": "", "why": "no backup was ever taken"}
    evidence = with_facts(drill_evidence("data_loss"), "drill", restore=restore)
    evidence = with_table(evidence, "drill", "records", lambda table: table.iloc[:0])
    evidence = with_table(evidence, "ledger", "requests", _silent_after_the_disaster)
    del evidence["quality"]
    outcome, checks = judged("data_loss", evidence)
    assert outcome is FAIL
    assert checks["restore"].reason == "nothing to restore from: no backup was ever taken"
    assert checks["rpo"].reason.startswith("RPO 9.1 s: 900 of 900 acknowledged requests are missing")


def test_a_service_that_does_not_start_from_what_was_restored_fails() -> None:
    facts = {
        **drill_evidence("data_loss")["drill"].facts["restore"],
        "start_error": "zone-a ended with exit code 1\nlog",
    }
    evidence = with_facts(drill_evidence("data_loss"), "drill", restore=facts)
    del evidence["quality"]
    outcome, checks = judged("data_loss", evidence)
    assert (outcome, checks["rto"].outcome) == (FAIL, FAIL)
    assert checks["start"].reason.endswith("what was restored: zone-a ended with exit code 1")


def _silent_after_the_disaster(table: pd.DataFrame) -> pd.DataFrame:
    later = table["intended_ns"] >= FAULT_S * S
    table.loc[later, ["sent_ns", "done_ns"]] = np.nan
    table.loc[later, "status"] = -3
    return table


@pytest.mark.parametrize(
    "changes",
    [
        {"refused": []},
        {"backup": "backup-2"},
        {"left_behind": True},
        {"refused": [{"backup": "backup-2", "why": "it is incomplete"}]},
    ],
)
def test_a_spoiled_backup_that_is_not_refused_by_its_digest_fails(changes: dict[str, Any]) -> None:
    facts = drill_evidence("bad_backup")["drill"].facts["restore"]
    evidence = with_facts(drill_evidence("bad_backup"), "drill", restore={**facts, **changes})
    assert judged("bad_backup", evidence)[1]["refusal"].outcome is FAIL


def test_a_bad_backup_drill_without_a_spoiled_backup_proves_nothing() -> None:
    facts = drill_evidence("bad_backup")["drill"].facts["restore"]
    evidence = with_facts(drill_evidence("bad_backup"), "drill", restore={**facts, "spoiled": ""})
    assert judged("bad_backup", evidence)[0] is UNKNOWN


def test_another_model_in_the_registry_or_other_answers_fail() -> None:
    facts = drill_evidence("data_loss")["drill"].facts["restore"]
    evidence = with_facts(drill_evidence("data_loss"), "drill", restore={**facts, "subject": "another"})
    assert judged("data_loss", evidence)[1]["digest"].outcome is FAIL
    off = with_table(drill_evidence("data_loss"), "quality", "answers", lambda table: table.assign(observed=0.5))
    assert judged("data_loss", off)[1]["golden"].outcome is FAIL
    none = with_table(drill_evidence("data_loss"), "quality", "answers", lambda table: table.assign(observed=np.nan))
    assert judged("data_loss", none)[1]["golden"].outcome is FAIL
    other = with_table(drill_evidence("data_loss"), "quality", "answers", lambda table: table.assign(version="2"))
    assert judged("data_loss", other)[1]["golden"].outcome is FAIL


@pytest.mark.parametrize("event", ["fault_requested", "fault_in_place"])
def test_a_disaster_that_nobody_made_or_saw_proves_nothing(event: str) -> None:
    evidence = with_table(
        drill_evidence("data_loss"), "timeline", "events", lambda table: table[table["event"] != event]
    )
    outcome, checks = judged("data_loss", evidence)
    assert (outcome, list(checks)) == (UNKNOWN, ["disaster"])


def test_an_experiment_whose_parts_are_not_on_record_proves_nothing() -> None:
    evidence = drill_evidence("zone_failure")
    journal = {**evidence["zone_crash"].facts["journal"], "rollbacks": []}
    outcome, checks = judged("zone_failure", with_facts(evidence, "zone_crash", journal=journal))
    assert (outcome, "rollback not played" in checks["disaster"].reason) == (UNKNOWN, True)


def test_a_service_that_was_not_well_before_is_no_baseline() -> None:
    def sick(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[100:150, "status"] = 14
        return table

    outcome, checks = judged("data_loss", with_table(drill_evidence("data_loss"), "ledger", "requests", sick))
    assert (outcome, list(checks)) == (UNKNOWN, ["baseline"])


def test_a_load_that_broke_says_nothing() -> None:
    evidence = drill_evidence("data_loss")
    facts = {**evidence["ledger"].facts["scenarios"]["drill"], "finished": False}
    outcome, checks = judged("data_loss", with_facts(evidence, "ledger", scenarios={"drill": facts}))
    assert (outcome, "did not run to its end" in checks["load"].reason) == (UNKNOWN, True)


def test_a_load_that_was_stopped_is_judged_up_to_there() -> None:
    evidence = drill_evidence("data_loss")
    facts = {**evidence["ledger"].facts["scenarios"]["drill"], "finished": False}
    evidence = with_facts(evidence, "ledger", scenarios={"drill": facts})
    evidence = with_table(evidence, "ledger", "requests", _unsent_from_the_stop)
    assert judged("data_loss", _stopped(evidence, 20))[0] is PASS
    assert judged("data_loss", _stopped(evidence, 14))[1]["rto"].outcome is UNKNOWN


def _stopped(evidence: dict[str, Evidence], at_s: int) -> dict[str, Evidence]:
    """With an event that says when the load was stopped."""
    event = pd.DataFrame([{"t_ns": at_s * S, "event": "load_stopped", "subject": "drill", "detail": "{}"}])
    return with_table(evidence, "timeline", "events", lambda table: pd.concat([table, event], ignore_index=True))


def _unsent_from_the_stop(table: pd.DataFrame) -> pd.DataFrame:
    later = table["intended_ns"] >= 20 * S
    table.loc[later, ["sent_ns", "done_ns"]] = np.nan
    table.loc[later, "status"] = -3
    return table


def test_a_slow_recovery_on_a_busy_machine_is_unknown_and_a_fast_one_stands() -> None:
    busy = with_table(drill_evidence("data_loss"), "machine", "cpu", lambda table: table.assign(busy_cores=2.0))
    assert judged("data_loss", busy)[0] is PASS
    found = judged("data_loss", busy, rto_s_max=1.0)[1]["rto"]
    assert (found.outcome, "busy with other work" in found.reason) == (UNKNOWN, True)


@pytest.mark.parametrize("name", ["drill", "ledger", "timeline", "machine", "quality"])
def test_evidence_that_is_gone_or_errored_is_unknown(name: str) -> None:
    evidence = drill_evidence("data_loss")
    errored = {**evidence, name: replace(evidence[name], error="the disk was full")}
    assert judged("data_loss", errored)[0] is UNKNOWN
    del evidence[name]
    outcome = judged("data_loss", evidence, rto_s_max=1.0 if name == "machine" else 30.0)[0]
    assert outcome is UNKNOWN


def test_a_rollback_that_did_not_come_back_is_unknown_or_fails() -> None:
    evidence = drill_evidence("rollback")
    gone = with_table(evidence, "timeline", "events", lambda table: table[table["event"] != "rolled_back"])
    assert judged("rollback", gone)[0] is UNKNOWN
    stays = with_table(evidence, "ledger", "requests", lambda table: table.assign(model_version="2"))
    assert judged("rollback", stays)[1]["rto"].outcome is FAIL


def test_a_drill_under_another_load_than_the_plan_promises_shows_nothing() -> None:
    scenario = {**drill_evidence("data_loss")["ledger"].facts["scenarios"]["drill"]}
    slower = scenario | {"phases": [{"name": "load", "rate_rps": 20}]}
    outcome, checks = judged(
        "data_loss", with_facts(drill_evidence("data_loss"), "ledger", scenarios={"drill": slower})
    )
    assert (outcome, checks["baseline"].reason) == (UNKNOWN, "it was held under 20 req/s; the Plan wants 100")


def test_losing_a_zone_that_was_not_in_use_shows_nothing() -> None:
    def idle(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(zone=table["zone"].replace("zone-b", "zone-a"))

    outcome, checks = judged("zone_failure", with_table(drill_evidence("zone_failure"), "ledger", "requests", idle))
    assert outcome is UNKNOWN
    assert "zone-b had no fair share of traffic" in checks["baseline"].reason


@pytest.mark.parametrize("name", ["zone_failure", "rollback"])
def test_an_experiment_that_ends_unsteady_is_no_recovery(name: str) -> None:
    scenario = {"zone_failure": "zone_crash"}.get(name, name)
    evidence = drill_evidence(name)
    journal = {**evidence[scenario].facts["journal"], "deviated": True, "status": "failed"}
    outcome, checks = judged(name, with_facts(evidence, scenario, journal=journal))
    assert outcome is UNKNOWN
    assert "the steady state was not there again" in checks["disaster"].reason
