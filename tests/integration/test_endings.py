"""However a run ends, nothing of it stays behind, and the next run works."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.integration.processes import alive, family, has_event, start_short_run, wait_for

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_sigkill_to_the_harness_leaves_nothing_behind_not_even_a_frozen_zone(tmp_path: Path) -> None:
    run = start_short_run(tmp_path / "runs", tmp_path / "log")
    wait_for(lambda: has_event(tmp_path / "runs", "scenario_started", "sustained"), 60, "load on the fleet")
    started = family(run)
    zone = next(item for item in started if "zone-c" in item.cmdline())
    zone.suspend()
    run.kill()
    run.wait(5)
    assert len(started) >= 7, "three zones, a candidate, the edge, the supervisor, Locust"
    wait_for(lambda: not alive(started), 5, f"still alive: {alive(started)}")


def test_ctrl_c_in_the_middle_of_an_experiment_heals_and_stops_everything(tmp_path: Path) -> None:
    run = start_short_run(tmp_path / "runs", tmp_path / "log")
    wait_for(lambda: has_event(tmp_path / "runs", "fault_in_place", "zone-b"), 120, "a zone crashed")
    started = family(run)
    os.killpg(run.pid, signal.SIGINT)
    wait_for(lambda: run.poll() is not None and not alive(started), 5, "it ended, and all that it started")
    assert run.returncode == 130
    assert "interrupted" in (tmp_path / "log").read_text()
    assert not (tmp_path / "runs" / "latest" / "seal.json").exists(), "an unfinished run must prove nothing"


@pytest.mark.long
def test_two_runs_at_once_do_not_collide_and_say_when_the_machine_was_too_small_for_both(tmp_path: Path) -> None:
    runs = [start_short_run(tmp_path / name, tmp_path / f"{name}.log") for name in ("one", "two")]
    codes = [run.wait(280) for run in runs]
    logs = [(tmp_path / f"{name}.log").read_text() for name in ("one", "two")]
    assert set(codes) <= {0, 3}, logs
    assert all(
        code == 0 or "the machine was busy with other work" in log for code, log in zip(codes, logs, strict=True)
    )
    for name in ("one", "two"):
        verdict = json.loads((tmp_path / name / "latest" / "verdict.json").read_bytes())
        errors = [result["reason"] for result in verdict["results"] if "did not come up" in result["reason"]]
        assert not errors
    assert not [
        item for item in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(item.info["cmdline"] or ())
    ]
