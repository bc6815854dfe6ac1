"""The latest drill is taken over as it was sealed; one of another kind is passed over, one that was changed is told."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from harness.collectors import Context
from harness.collectors.drills import collect
from harness.drill_definition import definition
from harness.drill_standing import standing
from harness.model import Outcome
from harness.plan import load_plan
from harness.plan_drills import DEFAULTS
from harness.profiles import PROFILES
from harness.store import create_run
from tests.drill_builders import RATE, SUBJECT, drill_evidence, with_facts
from tests.harness.collectors.test_gpu import REFERENCE, Quiet

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Check, Evidence
    from harness.plan import LoadedPlan
    from harness.plan_types import Plan

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
NAME = "data_loss"
TARGETS = DEFAULTS[NAME]


def a_plan() -> LoadedPlan:
    loaded = load_plan(REFERENCE)
    traffic = dataclasses.replace(loaded.plan.traffic, launch_rps=RATE)
    return dataclasses.replace(loaded, plan=dataclasses.replace(loaded.plan, drills={NAME: TARGETS}, traffic=traffic))


def held(folder: Path, days_ago: float = 1, *, subject: str = SUBJECT, sealed: bool = True, **facts: Any) -> Path:
    """A drill on record that went well."""
    now = NOW - dt.timedelta(days=days_ago)
    run = create_run(folder / "drills", a_plan(), profile="drill", subject=subject, now=now, prefix=f"{NAME}-")
    facts = {"definition": definition(NAME, a_plan().plan)} | facts
    for item in with_facts(drill_evidence(NAME), "drill", **facts).values():
        run.write(dataclasses.replace(item, subject=subject))
    if sealed:
        run.seal()
    return run.folder


def collected(folder: Path) -> Evidence:
    run = create_run(folder / "runs", a_plan(), profile="quick", subject=SUBJECT, now=NOW)
    (evidence,) = collect(Context(run=run, loaded=a_plan(), profile=PROFILES["quick"], progress=Quiet()))
    return evidence


def judged(folder: Path) -> tuple[Check, ...]:
    return standing(NAME, a_plan().plan, collected(folder))


def test_a_drill_that_went_well_passes_from_its_copy_alone(tmp_path: Path) -> None:
    held(tmp_path)
    checks = judged(tmp_path)
    assert {check.outcome for check in checks} == {Outcome.PASS}
    assert "data_loss_rto" in {check.name for check in checks}


def test_a_plan_without_drills_has_no_such_evidence(tmp_path: Path) -> None:
    loaded = load_plan(REFERENCE)
    run = create_run(tmp_path / "runs", loaded, profile="quick", subject=SUBJECT, now=NOW)
    assert collect(Context(run=run, loaded=loaded, profile=PROFILES["quick"], progress=Quiet())) == ()


def test_without_any_on_record_it_is_overdue(tmp_path: Path) -> None:
    (check,) = judged(tmp_path)
    assert (check.outcome, check.reason) == (Outcome.UNKNOWN, "overdue: run gonogo drill data_loss (none on record)")


def test_drills_of_another_version_or_definition_are_passed_over_and_counted(tmp_path: Path) -> None:
    held(tmp_path, 3)
    held(tmp_path, 2, subject="flight-delay@2 sha256:11")
    held(tmp_path, 1, definition="another")
    assert {check.outcome for check in judged(tmp_path)} == {Outcome.PASS}
    assert collected(tmp_path).facts["drills"][NAME]["others"] == {"version": 1, "definition": 1}


def test_one_that_failed_since_the_last_good_one_counts(tmp_path: Path) -> None:
    held(tmp_path, 2)
    facts = drill_evidence(NAME)["drill"].facts["restore"]
    held(tmp_path, 1, restore={**facts, "backup": "", "why": "no backup was ever taken"})
    assert Outcome.FAIL in {check.outcome for check in judged(tmp_path)}


def test_one_that_was_not_finished_stands_before_an_older_good_one(tmp_path: Path) -> None:
    held(tmp_path, 2)
    held(tmp_path, 1, sealed=False)
    (check,) = judged(tmp_path)
    assert (check.outcome, "it was not finished" in check.reason) == (Outcome.UNKNOWN, True)


@pytest.mark.parametrize(
    "file", ["run.json", "plan.toml", "evidence/drill.json", "evidence/drill/records.parquet", "evidence/ledger.json"]
)
def test_one_that_was_changed_proves_nothing_and_stands_before_an_older_good_one(tmp_path: Path, file: str) -> None:
    held(tmp_path, 2)
    path = held(tmp_path, 1) / file
    path.write_bytes(path.read_bytes() + b" ")
    (check,) = judged(tmp_path)
    assert check.outcome is Outcome.UNKNOWN
    assert "proves nothing" in check.reason


def test_a_copy_of_an_older_drill_under_a_newer_name_proves_nothing(tmp_path: Path) -> None:
    folder = held(tmp_path, 2)
    folder.rename(folder.with_name("data_loss-20260301T110000Z-000000"))
    (check,) = judged(tmp_path)
    assert "it is a copy of" in check.reason


def with_target(plan: Plan, **changes: Any) -> Plan:
    return dataclasses.replace(plan, target=dataclasses.replace(plan.target, **changes))


def test_the_definition_is_of_name_targets_zones_and_experiment_and_of_nothing_else() -> None:
    plan = a_plan().plan
    longer = dataclasses.replace(TARGETS, expires_days=31)
    other_file = {
        **plan.experiments,
        "zone_crash": dataclasses.replace(plan.experiments["zone_crash"], file="local/rollback.json"),
    }
    changed = {
        definition(NAME, plan),
        definition("bad_backup", plan),
        definition(NAME, dataclasses.replace(plan, drills={NAME: dataclasses.replace(TARGETS, rto_s_max=31)})),
        definition(NAME, dataclasses.replace(plan, drills={NAME: longer})),
        definition("zone_failure", plan),
        definition("zone_failure", dataclasses.replace(plan, experiments=other_file)),
        definition(NAME, with_target(plan, zones=("zone-a", "zone-b"))),
        definition(NAME, with_target(plan, processes_per_zone=2)),
    }
    assert len(changed) == 8
    slower = dataclasses.replace(plan, slo=dataclasses.replace(plan.slo, latency_ms_p99=60), experiments=other_file)
    assert definition(NAME, slower) == definition(NAME, plan)


def test_the_definition_is_of_the_experiments_file_wherever_it_lies(tmp_path: Path) -> None:
    plan, file = a_plan().plan, tmp_path / "mine.json"
    mine = {"zone_crash": dataclasses.replace(plan.experiments["zone_crash"], file=str(file))}
    found = set()
    for content in ("{}", '{"title": "changed since"}'):
        file.write_text(content)
        found.add(definition("zone_failure", dataclasses.replace(plan, experiments=mine)))
    assert len(found) == 2


SERVICE = ("reference_service/batching.py", "reference_service/auth/checks.py", "reference_service/trust.json")
EXPERIMENT = (
    "experiments/actions/zones.py",
    "harness/collectors/chaos.py",
    "harness/collectors/breaking.py",
    "harness/collectors/chaos_run.py",
)
OWN = ("harness/backup.py", "harness/drills/rig.py")
NO_PART = ("reference_service/models/flight-delay/1/model.onnx", "reference_service/README.md", "harness/judge.py")


def changing(root: Path, name: str, plan: Plan) -> set[str]:
    """Which files make another drill of `name` when they change."""
    found = set()
    for file in (*SERVICE, *EXPERIMENT, *OWN, *NO_PART):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was")
        before = definition(name, plan, root)
        path.write_text("changed")
        if definition(name, plan, root) != before:
            found.add(file)
    return found


def test_the_definition_is_of_the_code_that_ran(tmp_path: Path) -> None:
    plan = a_plan().plan
    assert changing(tmp_path / "a", NAME, plan) == {*SERVICE, *OWN}
    assert changing(tmp_path / "b", "zone_failure", plan) == {*SERVICE, *EXPERIMENT, *OWN}
    assert changing(tmp_path / "c", "rollback", plan) == {*SERVICE, *EXPERIMENT, *OWN}
