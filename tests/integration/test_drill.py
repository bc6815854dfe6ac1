"""Drills on real processes: what is printed is what ledger and journal say, and without a backup it is NO-GO."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.collectors import Context
from harness.collectors.drills import collect
from harness.drill_standing import standing
from harness.model import Outcome
from harness.plan import load_plan
from harness.profiles import PROFILES
from harness.store import create_run, load_run
from reference_service.protocol.audit import SEGMENT_GLOB, read_segment
from tests.integration.processes import PLAN, ROOT, alive, family, has_event, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]
DRILLS = """
[drills]
data_loss = { rto_s_max = 20, rpo_s_max = 5, backup_every_s = 0.5 }
bad_backup = { rto_s_max = 20, rpo_s_max = 5, backup_every_s = 0.5 }
region_loss = { rto_s_max = 30, rpo_s_max = 5, backup_every_s = 0.5 }
"""
S = 1_000_000_000


@dataclass
class Held:
    """A drill that ended: its exit code, what it printed, its folder."""

    code: int
    told: dict[str, Any]
    folder: Path
    plan: Path


def a_plan(folder: Path) -> Path:
    """The reference Plan with drills, of the same registry."""
    registry = json.dumps(str(PLAN.parent / "models"))
    path = folder / "readiness.toml"
    path.write_text(PLAN.read_text().replace('registry = "models"', f"registry = {registry}") + DRILLS)
    return path


def command(name: str, folder: Path, *options: str) -> list[str]:
    plan, drills = str(a_plan(folder)), str(folder / "drills")
    return [sys.executable, "-m", "harness.cli", "drill", name, plan, "--drills", drills, "--json", *options]


def held(name: str, folder: Path, *options: str) -> Held:
    done = subprocess.run(
        command(name, folder, *options), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout, done.stderr[-2000:]
    told = json.loads(done.stdout)
    return Held(done.returncode, told, Path(told["folder"]), folder / "readiness.toml")


def outcomes(told: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["outcome"] for check in told["checks"]}


def acknowledged_and_missing(folder: Path) -> tuple[int, list[float]]:
    """How many requests were answered well, and when those were whose record no file of the zones' journals has."""
    run = load_run(folder)
    rows = run.evidence["ledger"].tables["requests"]
    stops = run.evidence["timeline"].tables["events"].query("event == 'load_stopped'")["t_ns"]
    good = rows[(rows["status"] == 0) & (rows["intended_ns"] < (stops.iloc[0] if len(stops) else float("inf")))]
    files = (folder / "work" / "state").rglob(SEGMENT_GLOB)
    kept = {record.request_id for path in files for record in read_segment(path.read_bytes()).records}
    lacking = good[[f"{number:016x}" not in kept for number in good["request_id"]]]
    return len(good), sorted(lacking["done_ns"])


def nothing_is_left(folder: Path) -> bool:
    return not [
        item for item in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(item.info["cmdline"] or ())
    ]


@pytest.fixture(scope="module")
def data_loss(tmp_path_factory: pytest.TempPathFactory) -> Held:
    return held("data_loss", tmp_path_factory.mktemp("drill"))


@pytest.mark.long
def test_lost_state_comes_back_from_the_backup_in_time(data_loss: Held) -> None:
    assert data_loss.code == 0, data_loss.told
    assert set(outcomes(data_loss.told).values()) == {"PASS"}
    assert 0 < data_loss.told["rto_s"] <= 20
    assert 0 < data_loss.told["rpo_s"] <= 5
    assert nothing_is_left(data_loss.folder)


@pytest.mark.long
def test_rto_and_rpo_are_what_ledger_and_journal_say(data_loss: Held) -> None:
    count, missing = acknowledged_and_missing(data_loss.folder)
    events = load_run(data_loss.folder).evidence["timeline"].tables["events"].set_index("event")["t_ns"]
    assert (data_loss.told["acknowledged"], data_loss.told["missing"]) == (count, len(missing))
    assert len(missing) > 0, "a backup every half second can't hold what was answered after it"
    assert data_loss.told["rpo_s"] == pytest.approx((events["fault_in_place"] - missing[0]) / S, abs=1e-6)
    assert missing[-1] <= events["fault_in_place"], "nothing acknowledged after the restore may be missing"
    rows = load_run(data_loss.folder).evidence["ledger"].tables["requests"]
    fault, back = events["fault_requested"], events["fault_requested"] + data_loss.told["rto_s"] * S
    assert (rows[rows["intended_ns"].between(back, back + 5 * S)]["status"] == 0).mean() > 0.999
    assert (
        rows[rows["intended_ns"].between(fault + 0.2 * S, back - 1 * S)]["status"] != 0
    ).any() or back - fault < 1.2 * S


@pytest.mark.long
def test_it_leaves_a_timeline_and_the_draft_of_a_postmortem(data_loss: Held) -> None:
    text = (data_loss.folder / "postmortem.md").read_text()
    for part in ("fault requested", "fault in place", "restored", "fault removed", "Questions to answer", "| | | |"):
        assert part in text
    assert f"{data_loss.told['missing']:,} are missing" in text


@pytest.mark.long
def test_a_run_takes_it_over_and_lets_it_count(data_loss: Held) -> None:
    loaded = load_plan(data_loss.plan)
    subject, now = data_loss.told["subject"], dt.datetime.now(tz=dt.UTC)
    run = create_run(data_loss.plan.parent / "runs", loaded, profile="quick", subject=subject, now=now)
    (evidence,) = collect(Context(run=run, loaded=loaded, profile=PROFILES["quick"], progress=_Silent()))
    assert {check.outcome for check in standing("data_loss", loaded.plan, evidence)} == {Outcome.PASS}
    assert standing("region_loss", loaded.plan, evidence)[0].reason.startswith("overdue: run gonogo drill region_loss")


class _Silent:
    def step(self, title: str, expected_s: float) -> None:
        """Nobody watches."""


def test_without_a_backup_it_is_no_go_and_everything_is_lost(tmp_path: Path) -> None:
    drill = held("data_loss", tmp_path, "--no-backup")
    assert drill.code == 1
    assert outcomes(drill.told) == {"restore": "FAIL", "rto": "FAIL", "rpo": "FAIL"}
    assert drill.told["missing"] == drill.told["acknowledged"] > 500


@pytest.mark.long
def test_a_backup_with_a_flipped_byte_is_refused_and_an_older_one_is_used(tmp_path: Path) -> None:
    drill = held("bad_backup", tmp_path)
    assert drill.code == 0, drill.told
    assert outcomes(drill.told)["refusal"] == "PASS"
    restore = load_run(drill.folder).evidence["drill"].facts["restore"]
    assert restore["refused"][0]["backup"] == restore["spoiled"] > restore["backup"] != ""


@pytest.mark.long
def test_a_lost_region_is_rebuilt_at_the_same_address(tmp_path: Path) -> None:
    drill = held("region_loss", tmp_path)
    assert drill.code == 0, drill.told
    count, missing = acknowledged_and_missing(drill.folder)
    assert (drill.told["acknowledged"], drill.told["missing"]) == (count, len(missing))


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_in_the_disaster_nothing_runs_on_and_nothing_is_proven(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        command("data_loss", tmp_path),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: has_event(tmp_path / "drills", "fault_in_place", "state"), 60, "the disaster")
    started = family(process)
    os.kill(process.pid, number)
    wait_for(lambda: process.poll() is not None and not alive(started), 10, "it ended, and all that it started")
    assert process.returncode == (130 if number is signal.SIGINT else -9)
    assert not (tmp_path / "drills" / "latest" / "seal.json").exists()
    assert nothing_is_left(tmp_path)
