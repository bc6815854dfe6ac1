"""The whole line on real traffic: the reference service ends GO, and the numbers are those of the ledger."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.store import find_run, load_run
from tests.integration.processes import PLAN, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from harness.store import LoadedRun

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

QUICK_LIMIT_S = 180.0


class WholeRun:
    """A finished `gonogo run` of the reference Plan and what it left."""

    def __init__(self, runs: Path) -> None:
        began = time.monotonic()
        command = [sys.executable, "-m", "harness.cli", "run", str(PLAN), "--runs", str(runs)]
        self.done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
        self.seconds = time.monotonic() - began
        self.folder = find_run(runs)
        self.verdict: dict[str, Any] = json.loads((self.folder / "verdict.json").read_bytes())

    @property
    def machine_was_too_busy(self) -> bool:
        """Everything that blocks is unknown because of the load generator, and nothing failed."""
        blocking = [item for item in self.verdict["results"] if item["outcome"] != "PASS"]
        return self.done.returncode == 3 and all("generator" in item["reason"] for item in blocking)

    def checks(self, gate: str) -> dict[str, dict[str, Any]]:
        """The checks of one gate by name."""
        result = next(item for item in self.verdict["results"] if item["gate"] == gate)
        return {check["name"]: check for check in result["checks"]}


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """One run; a second one only where the machine, not the service, spoilt the first."""
    run = WholeRun(tmp_path_factory.mktemp("first"))
    return WholeRun(tmp_path_factory.mktemp("second")) if run.machine_was_too_busy else run


@pytest.fixture(scope="module")
def loaded(whole_run: WholeRun) -> LoadedRun:
    return load_run(whole_run.folder)


def test_the_reference_service_is_go_for_stage_internal(whole_run: WholeRun) -> None:
    blocking = [(item["gate"], item["reason"]) for item in whole_run.verdict["results"] if item["outcome"] != "PASS"]
    assert whole_run.done.returncode == 0, (blocking, whole_run.done.stdout[-2000:], whole_run.done.stderr[-2000:])
    assert (whole_run.verdict["decision"], whole_run.verdict["stage"]) == ("GO", "internal")
    assert "report.html" in whole_run.done.stdout
    assert (whole_run.folder / "report.html").stat().st_size > 10_000


def test_the_quick_profile_keeps_its_time(whole_run: WholeRun) -> None:
    assert whole_run.seconds <= QUICK_LIMIT_S


def test_every_scheduled_request_is_in_the_ledger_once(loaded: LoadedRun) -> None:
    ledger = loaded.evidence["ledger"]
    requests = ledger.tables["requests"]
    scheduled = {name: facts["scheduled"] for name, facts in ledger.facts["scenarios"].items()}
    assert requests["request_id"].is_unique
    assert requests["scenario"].value_counts().to_dict() == scheduled
    assert requests["intended_ns"].is_monotonic_increasing
    assert set(scheduled) == {"sustained", "shadow", "spike", "staircase", "search-1", "zone_crash", "rollback"}


def test_traffic_leaves_the_crashed_zone_and_returns(loaded: LoadedRun) -> None:
    requests = loaded.evidence["ledger"].tables["requests"]
    rows = requests[requests["scenario"] == "zone_crash"]
    events = loaded.evidence["timeline"].tables["events"].set_index("event")["t_ns"]
    dead, back = int(events["fault_in_place"]), int(events["fault_removed"])
    settle_ns = 1_000_000_000
    shares = {
        "before": _share(rows, "zone-b", 0, dead - settle_ns),
        "during": _share(rows, "zone-b", dead + settle_ns, back - settle_ns),
        "after": _share(rows, "zone-b", back + 3 * settle_ns, rows["intended_ns"].max()),
    }
    assert shares["before"] > 0.2
    assert shares["during"] == 0
    assert shares["after"] > 0.2


def test_no_request_is_lost_and_the_times_are_below_two_seconds(whole_run: WholeRun) -> None:
    result = next(item for item in whole_run.verdict["results"] if item["gate"] == "zone_failure")
    assert result["outcome"] == "PASS", result["reason"]
    assert {check["limit"] for check in result["checks"] if check["unit"] == "s"} == {2.0}


def test_the_switch_to_the_candidate_and_back_is_seen_in_the_answers(loaded: LoadedRun) -> None:
    requests = loaded.evidence["ledger"].tables["requests"]
    rows = requests[requests["scenario"] == "rollback"].sort_values("done_ns")
    versions = rows["model_version"].astype(str)
    runs = (versions != versions.shift()).cumsum()
    assert list(versions.groupby(runs).first())[:1] == ["1"]
    assert set(versions) == {"1", "2"}
    assert (rows["status"] == 0).all()


def test_at_least_a_thousand_pairs_were_compared_in_shadow(loaded: LoadedRun) -> None:
    shadow = loaded.evidence["shadow"]
    assert len(shadow.tables["pairs"]) == shadow.facts["joined"] >= 1000
    assert shadow.facts["unjoined_primary"] + shadow.facts["unjoined_candidate"] <= 0.01 * shadow.facts["joined"]


def test_judging_again_gives_the_same_bytes_and_the_same_code(whole_run: WholeRun) -> None:
    before = (whole_run.folder / "verdict.json").read_bytes()
    command = [sys.executable, "-m", "harness.cli", "judge", str(whole_run.folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == whole_run.done.returncode
    assert (whole_run.folder / "verdict.json").read_bytes() == before


def test_one_evidence_file_removed_is_no_go_because_unknown(whole_run: WholeRun) -> None:
    path = whole_run.folder / "evidence" / "shadow.json"
    content = path.read_bytes()
    path.unlink()
    try:
        command = [sys.executable, "-m", "harness.cli", "judge", str(whole_run.folder), "--json"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    finally:
        path.write_bytes(content)
    assert done.returncode == 3
    assert "shadow.json is missing" in json.loads(done.stdout)["gates"]["shadow_agreement"]["reason"]


def _share(rows: pd.DataFrame, zone: str, start_ns: int, end_ns: int) -> float:
    window = rows[rows["intended_ns"].between(start_ns, end_ns)]
    return float((window["zone"].astype(str) == zone).mean())
