"""A whole run with the catalogue on real zones: what it broke is on record, judged, and whole again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.fault_journal import FAULTS_VARIABLE
from harness.gates import all_gates
from harness.model import Case, Outcome
from harness.store import LoadedRun, find_run, load_run
from harness.validity import BLAME
from tests.integration.processes import PLAN, ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

ONE_MORE = """
[experiments.zone_down]
file = "local/zone_crash.json"
ttd_s_max = 2
ttr_s_max = 2
repeats = 2

[shadow]"""


def a_run(folder: Path) -> Path:
    """One short run of the reference Plan with one more experiment, run twice."""
    plan = folder / "readiness.toml"
    plan.write_text(PLAN.read_text().replace("[shadow]", ONE_MORE).replace('"models"', f'"{PLAN.parent / "models"}"'))
    command = [sys.executable, "-m", "tests.integration.short_run", "run", str(plan), "--runs", str(folder / "runs")]
    environment = os.environ | {FAULTS_VARIABLE: str(folder / "faults")}
    done = subprocess.run(
        [*command, "--profile", "standard"], cwd=ROOT, env=environment, capture_output=True, timeout=300, check=False
    )
    assert done.returncode in {0, 1, 3}, done.stderr
    return find_run(folder / "runs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run; another one only where the machine was too busy to send any load."""
    first = a_run(tmp_path_factory.mktemp("first"))
    refused = any(item.get("refused") for item in load_run(first).evidence["ledger"].facts["scenarios"].values())
    return a_run(tmp_path_factory.mktemp("second")) if refused else first


@pytest.fixture(scope="module")
def run(folder: Path) -> LoadedRun:
    return load_run(folder)


def test_both_runs_are_on_record_as_done_and_left_nothing_open(run: LoadedRun, folder: Path) -> None:
    runs = run.evidence["experiments"].facts["runs"]
    assert [item["scenario"] for item in runs] == ["zone_down", "zone_down#2"]
    assert {(item["ended_by"], item["exit_code"], item["error"], item["healed"]) for item in runs} == {
        ("itself", 0, "", True)
    }
    assert [item["open_faults"] for item in runs] == [[], []]
    assert not list((folder.parents[1] / "faults").glob("*.json"))


def test_the_gate_judges_it_and_blames_no_service_for_a_busy_machine(run: LoadedRun) -> None:
    gate, evidence = all_gates()["fault_tolerance"], dict(run.evidence)
    cpu = evidence["machine"].tables["cpu"]
    quiet = cpu.assign(busy_cores=cpu["own_cores"])  # other tests may run beside this one
    evidence["machine"] = replace(evidence["machine"], tables={"cpu": quiet})
    checks = gate.judge(Case(run.plan.plan, {name: evidence[name] for name in gate.requires}))
    bad = [check for check in checks if check.outcome is not Outcome.PASS]
    assert all(BLAME in check.reason for check in bad), bad
    assert bad or {check.name for check in checks} == {
        f"zone_down_{name}" for name in ("experiment", "lost", "budget", "ttd", "ttr", "return")
    }


def test_the_verdict_holds_the_seconds_of_each_experiment(folder: Path) -> None:
    drawn: list[dict[str, Any]] = json.loads((folder / "verdict.json").read_bytes())["series"]["experiments"]
    assert [item["scenario"] for item in drawn] == ["zone_crash", "rollback", "zone_down", "zone_down#2"]
    for item in drawn[2:]:
        fault, zones = item["fault"], item["seconds"]["zones"]
        assert 0 < fault["requested_s"] < fault["in_place_s"] < fault["removed_s"] < 20
        dark = range(int(fault["in_place_s"]) + 2, int(fault["removed_s"]) - 1)
        assert dark
        assert {zones["zone-b"][second] for second in dark} == {0}
        assert item["ttd_s"] < 2
