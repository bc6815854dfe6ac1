"""A service that can only be reached is judged at stage load, and blame goes to whom it belongs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.integration.processes import ROOT, family, has_event, start_short_run, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

PLAN = """
[service]
name = "attached"
owner = "tests"

[launch]
stage = "load"

[target]
provider = "attached"
address = "{address}"
model = "flight-delay"
version = "1"
registry = "{registry}"

[slo]
availability = 0.99
latency_ms_p99 = 100
spike_latency_ms_p99 = 400

[traffic]
launch_rps = 100
spike_rps = 150
six_months_rps = 100
one_year_rps = 120
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The reference service, started by hand, and its address."""
    log = tmp_path / "service.log"
    command = [sys.executable, "-m", "reference_service.cli", "serve", "--listen", "127.0.0.1:0", "--zone", "alone"]
    command += ["--registry", str(ROOT / "reference_service" / "models"), "--model", "flight-delay", "--version", "1"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        yield psutil.Process(process.pid), wait_for(lambda: _ready_address(log), 30, "the service is ready")
    finally:
        process.kill()
        process.wait(5)


@pytest.mark.long
def test_a_healthy_attached_service_is_judged_but_not_launched(
    service: tuple[psutil.Process, str], tmp_path: Path
) -> None:
    verdict = _finished(_start(service[1], tmp_path), tmp_path)
    assert verdict["stage"] == "load"
    assert "no launch decision" in verdict["headline"]
    assert _outcomes(verdict).keys() == {
        "load_generator",
        "sustained_latency",
        "availability",
        "spike_latency",
        "capacity",
    }
    assert {item["gate"] for item in verdict["not_judged"]} >= {"zone_failure", "rollback", "shadow_agreement"}
    assert verdict["decision"] == "GO", {item["gate"]: item["reason"] for item in verdict["results"]}


def test_a_service_that_stalls_for_two_seconds_fails_and_the_generator_is_not_blamed(
    service: tuple[psutil.Process, str], tmp_path: Path
) -> None:
    run = _start(service[1], tmp_path)
    _stop_for_two_seconds(service[0], tmp_path)
    verdict = _finished(run, tmp_path)
    outcomes = _outcomes(verdict)
    assert (outcomes["load_generator"], outcomes["sustained_latency"]) == ("PASS", "FAIL"), verdict["headline"]
    assert verdict["exit_code"] == 1


def test_a_generator_that_stops_for_two_seconds_makes_latency_unknown_not_failed(
    service: tuple[psutil.Process, str], tmp_path: Path
) -> None:
    run = _start(service[1], tmp_path)
    wait_for(lambda: has_event(tmp_path / "runs", "scenario_started", "sustained"), 60, "the load began")
    locust = next(item for item in family(run) if "locust" in item.cmdline())
    _stop_for_two_seconds(locust, tmp_path)
    verdict = _finished(run, tmp_path)
    reasons = {item["gate"]: item["reason"] for item in verdict["results"]}
    outcomes = _outcomes(verdict)
    assert (outcomes["load_generator"], outcomes["sustained_latency"]) == ("UNKNOWN", "UNKNOWN")
    assert "the generator, not the service" in reasons["sustained_latency"]
    assert verdict["exit_code"] == 3


def _start(address: str, folder: Path) -> subprocess.Popen[bytes]:
    plan = folder / "readiness.toml"
    plan.write_text(PLAN.format(address=address, registry=ROOT / "reference_service" / "models"))
    return start_short_run(folder / "runs", folder / "log", plan)


def _stop_for_two_seconds(process: psutil.Process, folder: Path) -> None:
    """SIGSTOP in the middle of the sustained load; the two seconds are the fault itself, not a wait for something."""
    wait_for(lambda: has_event(folder / "runs", "phase_started", "sustained/hold"), 60, "the load holds")
    process.suspend()
    time.sleep(2)
    process.resume()


def _finished(run: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    run.wait(120)
    verdict: dict[str, Any] = json.loads((folder / "runs" / "latest" / "verdict.json").read_bytes())
    return verdict


def _outcomes(verdict: dict[str, Any]) -> dict[str, str]:
    return {item["gate"]: item["outcome"] for item in verdict["results"]}


def _ready_address(log: Path) -> str:
    for line in log.read_text().splitlines():
        if '"ready"' in line:
            return str(json.loads(line)["address"])
    return ""
