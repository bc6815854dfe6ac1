"""A Plan whose target lies on Google Cloud is loaded, broken there and judged; here against a fake of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.fleet.certificates import Authority
from tests.experiments.gcp import cases
from tests.experiments.gcp.fake import FakeCloud
from tests.experiments.gcp.running import PROJECT, ZONE, Runner
from tests.integration.processes import ROOT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

MODELS = ROOT / "reference_service" / "models"
LIMIT_S = 200
PLAN = """
[service]
name = "on Google Cloud"
owner = "tests"

[launch]
stage = "load"

[target]
provider = "gcp"
address = "{address}"
model = "flight-delay"
version = "1"
registry = "{registry}"
zones = ["europe-west1-c", "{zone}"]

[target.gcp]
project = "{project}"
allow = "allow.toml"
neg = "chaos-neg"
limit_s = 2.0

[experiments.zone_out_of_load_balancer]
file = "gcp/zone_out_of_load_balancer.json"

[slo]
availability = 0.99
latency_ms_p99 = 100
spike_latency_ms_p99 = 400

[traffic]
launch_rps = 50
spike_rps = 60
six_months_rps = 50
one_year_rps = 60
"""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[FakeCloud]:
    fake = FakeCloud(Authority(tmp_path).server("*.googleapis.com"))
    yield fake
    fake.close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The reference service, started by hand as if it ran in the zone that is broken."""
    log = tmp_path / "service.log"
    command = [sys.executable, "-m", "reference_service.cli", "serve", "--listen", "127.0.0.1:0", "--zone", ZONE]
    command += ["--registry", str(MODELS), "--model", "flight-delay", "--version", "1"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    try:
        yield wait_for(lambda: _ready_address(log), 30, "the service is ready")
    finally:
        process.kill()
        process.wait(5)


def test_the_experiment_runs_under_load_and_is_judged_without_an_edge(
    cloud: FakeCloud, address: str, tmp_path: Path
) -> None:
    runner = Runner(cloud, tmp_path / "ca.pem", tmp_path)
    case = cases.zone_out_of_load_balancer(cloud, runner)
    plan = tmp_path / "readiness.toml"
    plan.write_text(PLAN.format(address=address, registry=MODELS, zone=ZONE, project=PROJECT))
    command = [sys.executable, "-m", "tests.integration.short_run", "run", str(plan), "--profile", "standard"]
    command += ["--runs", str(tmp_path / "runs")]
    told = {name: value for name, value in runner.variables.items() if not _tells_an_experiment(name)}
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    verdict = json.loads((tmp_path / "runs" / "latest" / "verdict.json").read_text())
    assert [call.url.rpartition("/")[2] for call in cloud.writes()] == [
        "detachNetworkEndpoints",
        "attachNetworkEndpoints",
    ]
    assert case.is_healthy()
    assert not runner.open_faults()
    (gate,) = [item for item in verdict["results"] if item["gate"] == "fault_tolerance"]
    assert gate["outcome"] == "PASS", json.dumps(gate, indent=1) + done.stdout + done.stderr
    (shown,) = verdict["series"]["experiments"]
    assert shown["label"].startswith("contract against a fake: ")
    assert (shown["ttd_s"], shown["first_attempt_errors"], shown["retry_amplification"]) == (None, None, None)


def _tells_an_experiment(name: str) -> bool:
    return name.startswith(("GONOGO_GCP", "GONOGO_TIMELINE", "GONOGO_ZERO")) or name == "GONOGO_ZONE"


def _ready_address(log: Path) -> str:
    for line in log.read_text().splitlines():
        if '"ready"' in line:
            return str(json.loads(line)["address"])
    return ""
