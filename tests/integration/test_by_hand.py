"""What a person does by hand: fleet up, `chaos run`, `locust -f`, fleet down; each a plain command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.processes import PLAN, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

SHORT = {"GONOGO_BEFORE_S": "0.2", "GONOGO_HOLD_S": "0.5", "GONOGO_AFTER_S": "0.2"}


def _run(*command: str, folder: Path, limit_s: float = 90, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"GONOGO_FLEET": str(folder / "s" / "fleet.sock"), "PYTHONPATH": str(ROOT)} | variables
    command = (sys.executable, "-m", *command)
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=limit_s, check=False
    )


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Path]:
    """A fleet that `gonogo fleet up` left running; the folder in which commands are given."""
    up = _run("harness.cli", "fleet", "up", str(PLAN), folder=tmp_path)
    assert up.returncode == 0, up.stderr
    assert "zone-c     up" in up.stdout
    try:
        yield tmp_path
    finally:
        down = _run("harness.cli", "fleet", "down", folder=tmp_path)
        assert down.returncode == 0, down.stderr
        assert not (tmp_path / "s" / "secrets").exists()


def _status(folder: Path) -> dict[str, Any]:
    done = _run("harness.cli", "fleet", "status", "--json", folder=folder)
    status: dict[str, Any] = json.loads(done.stdout)
    return status


def _chaos(folder: Path, name: str) -> dict[str, Any]:
    """The journal of one experiment, run alone."""
    arguments = ["--no-version-check", "--settings", "none.yaml", "--log-file", "chaos.log", "run"]
    file = str(ROOT / "experiments" / "local" / f"{name}.json")
    done = _run("chaostoolkit", *arguments, "--journal-path", "journal.json", file, folder=folder, **SHORT)
    assert done.returncode == 0, done.stdout + done.stderr
    journal: dict[str, Any] = json.loads((folder / "journal.json").read_bytes())
    return journal


def test_both_experiments_and_a_scenario_run_alone_on_a_fleet_that_is_up(fleet: Path) -> None:
    again = _run("harness.cli", "fleet", "up", str(PLAN), folder=fleet)
    assert again.returncode == 2
    assert "already up" in again.stderr

    before = _status(fleet)["zones"]["zone-b"]["pids"]
    journal = _chaos(fleet, "zone_crash")
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    assert [item["status"] for item in journal["run"] + journal["rollbacks"]] == ["succeeded"] * 7
    after = _status(fleet)
    assert after["zones"]["zone-b"]["state"] == "up"
    assert after["zones"]["zone-b"]["pids"] != before

    journal = _chaos(fleet, "rollback")
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    assert _status(fleet)["route"] == {"to": "primary", "mirror": False}

    scenario = str(ROOT / "scenarios" / "sustained.py")
    reach = after["reach"]
    options = ["--host", f"https://{after['address']}", "--target-ca", reach["ca"]]
    options += ["--metadata", f"authorization=Bearer file:{reach['load_key']}"]
    options += ["--headless", "--rate", "50", "--duration", "1", "--warmup", "0.5"]
    load = _run("locust", "-f", scenario, *options, folder=fleet)
    assert load.returncode == 0, load.stderr[-2000:]
    assert (fleet / "s" / "secrets").is_dir()


def test_without_a_fleet_every_command_says_so(tmp_path: Path) -> None:
    for command in ("status", "down"):
        done = _run("harness.cli", "fleet", command, folder=tmp_path)
        assert done.returncode == 2
        assert "no fleet answers" in done.stderr
