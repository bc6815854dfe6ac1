"""The gate on drills: only the latest counts, in date, of this version and definition, and judged anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.gates import all_gates
from harness.model import Outcome, Stage, worst
from harness.plan_drills import DEFAULTS, Drill
from harness.plan_types import Launch
from harness.stages import REQUIRED, selected
from tests.builders import World, a_plan, healthy
from tests.drill_builders import DRILLS, drills_evidence

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
GATE = all_gates()["disaster_recovery"]


def world(*names: str, **changes: Any) -> World:
    """A world whose Plan names these drills, all on record as gone well; `changes` are to the first one's targets."""
    targets: dict[str, Drill] = {name: DEFAULTS[name] for name in names}
    targets[names[0]] = replace(targets[names[0]], **changes)
    found = healthy().with_plan(drills=targets)
    return replace(found, evidence={**found.evidence, "drills": drills_evidence(names)})


def latest(found: World, name: str, **changes: Any) -> World:
    """With some of what is told of the latest drill changed."""
    drills = found.evidence["drills"].facts["drills"]
    told = {**drills[name], "latest": {**drills[name]["latest"], **changes}}
    return found.with_facts("drills", drills={**drills, name: told})


def test_drills_that_went_well_pass() -> None:
    assert world(*DRILLS).result("disaster_recovery").outcome is PASS


def test_one_that_missed_its_target_fails_and_is_named() -> None:
    found = world("data_loss", "zone_failure", rpo_s_max=0.5).result("disaster_recovery")
    assert (found.outcome, found.reason.startswith("data_loss: RPO 1.1 s")) == (FAIL, True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"as_of": "2025-01-01T08:00:00+00:00"}, "is 59 days old; 30 are allowed"),
        ({"as_of": "2025-03-02T08:00:00+00:00"}, "is -1 days old"),
        ({"subject": "flight-delay@1 sha256:ffff"}, "of another version or definition"),
        ({"definition": "another"}, "of another version or definition"),
    ],
)
def test_what_does_not_count_any_more_is_overdue(changes: dict[str, Any], reason: str) -> None:
    found = latest(world("data_loss"), "data_loss", **changes).result("disaster_recovery")
    assert found.outcome is UNKNOWN
    assert found.reason.startswith("overdue: run gonogo drill data_loss (")
    assert reason in found.reason


def test_how_long_a_drill_counts_is_the_plans() -> None:
    old = latest(world("data_loss", expires_days=60), "data_loss", as_of="2025-01-01T08:00:00+00:00")
    assert old.result("disaster_recovery").outcome is PASS


def test_none_on_record_is_overdue_and_says_what_there_is() -> None:
    found = world("data_loss")
    told = {"definition": "d", "latest": None, "others": {"version": 2, "definition": 1}}
    reason = found.with_facts("drills", drills={"data_loss": told}).result("disaster_recovery").reason
    assert reason == (
        "overdue: run gonogo drill data_loss (none on record but 1 of another definition and 2 of another version)"
    )


@pytest.mark.parametrize("state", ["unfinished", "damaged"])
def test_one_that_was_not_finished_or_was_changed_proves_nothing(state: str) -> None:
    found = latest(world("data_loss"), "data_loss", state=state, why="it was not finished", documents={}, definition="")
    result = found.result("disaster_recovery")
    assert (result.outcome, "proves nothing: it was not finished" in result.reason) == (UNKNOWN, True)


def test_evidence_of_the_drill_that_did_not_come_along_is_unknown() -> None:
    found = world("data_loss")
    drills = found.evidence["drills"]
    for table in drills.tables:
        rest = {name: content for name, content in drills.tables.items() if name != table}
        without = found.with_evidence("drills", tables=rest)
        assert without.result("disaster_recovery").outcome is UNKNOWN, table


def test_the_plan_that_names_drills_is_held_to_them_and_ga_wants_every_one() -> None:
    assert "disaster_recovery" not in selected(a_plan(), runs_catalogue=True)
    assert "disaster_recovery" in selected(world("data_loss").plan, runs_catalogue=False)
    assert "disaster_recovery" in REQUIRED[Stage.GA]
    found = world("data_loss").with_plan(launch=Launch(stage=Stage.GA))
    checks = {check.name: check for check in GATE.judge(found.case(GATE))}
    missing = set(DEFAULTS) - {"data_loss"}
    assert {name for name in checks if name in DEFAULTS} == missing
    assert all(
        checks[name].reason == f"the Plan names no drill {name}; add [drills.{name}] with its rto_s_max"
        for name in missing
    )
    assert worst(tuple(check.outcome for check in checks.values())) is UNKNOWN


def test_a_plan_without_drills_that_asks_for_the_gate_is_told_what_to_add() -> None:
    found = replace(healthy(), evidence={**healthy().evidence, "drills": drills_evidence(())}).with_plan(drills={})
    assert "the Plan names no drill" in found.result("disaster_recovery").reason
